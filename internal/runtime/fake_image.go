package runtime

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
)

// FakeRegistry is an image registry in memory.
type FakeRegistry struct {
	// Address is what references to it begin with; any other image registry
	// cannot be reached.
	Address string

	mu     sync.Mutex
	down   bool
	images map[string]fakeImage
}

// NewFakeRegistry returns an empty image registry.
func NewFakeRegistry(address string) *FakeRegistry {
	return &FakeRegistry{Address: address, images: map[string]fakeImage{}}
}

// SetDown makes the image registry unreachable, or reachable again.
func (r *FakeRegistry) SetDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// Add puts images into the image registry.
func (r *FakeRegistry) Add(references ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reference := range references {
		r.images[reference] = newFakeImage(reference, nil)
	}
}

// Digest is the manifest digest of a tag, and whether there is such a tag.
func (r *FakeRegistry) Digest(reference string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	image, found := r.images[reference]
	return image.digest, found
}

// reach fails when an image's registry is another one, or down.
func (r *FakeRegistry) reach(reference string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if host, _, _ := strings.Cut(reference, "/"); host != r.Address || r.down {
		return fault.New(fault.Unavailable, "reach the image registry of %s: connection refused", reference)
	}
	return nil
}

// find looks an image up by tag, or by digest in the same repository.
func (r *FakeRegistry) find(reference string) (fakeImage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if image, found := r.images[reference]; found {
		return image, true
	}
	repository, digest, _ := strings.Cut(reference, "@")
	for tagged, image := range r.images {
		if image.digest == digest && repositoryOf(tagged) == repository {
			return image, true
		}
	}
	return fakeImage{}, false
}

// repositoryOf takes the tag from a reference.
func repositoryOf(reference string) string {
	if colon := strings.LastIndex(reference, ":"); colon > strings.LastIndex(reference, "/") {
		return reference[:colon]
	}
	return reference
}

func newFakeImage(content string, cmd []string) fakeImage {
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	return fakeImage{id: id, digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(id))), cmd: cmd}
}

// Push copies a local image to the registry.
func (f *Fake) Push(ctx context.Context, spec PushSpec) error {
	if err := f.enter(ctx, "Push", spec.Image); err != nil {
		return err
	}
	f.mu.Lock()
	image, found := f.images[spec.Image]
	f.mu.Unlock()
	if !found {
		return fault.New(fault.NotFound, "push %s: image not known", spec.Image)
	}
	if err := f.Registry.reach(spec.Image); err != nil {
		return fmt.Errorf("push %s: %w", spec.Image, err)
	}
	report(spec.Progress, "Copying blob "+image.id[:12])
	f.Registry.mu.Lock()
	defer f.Registry.mu.Unlock()
	f.Registry.images[spec.Image] = image
	return nil
}

// Pull copies an image from the registry, unless a digest is here already.
func (f *Fake) Pull(ctx context.Context, spec PullSpec) error {
	if err := f.enter(ctx, "Pull", spec.Image); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, here := f.images[spec.Image]; here && strings.Contains(spec.Image, "@") {
		return nil
	}
	if err := f.Registry.reach(spec.Image); err != nil {
		return fmt.Errorf("pull %s: %w", spec.Image, err)
	}
	image, found := f.Registry.find(spec.Image)
	if !found {
		return fault.New(fault.NotFound, "pull %s: manifest unknown", spec.Image)
	}
	report(spec.Progress, "Copying blob "+image.id[:12])
	f.images[spec.Image] = image
	return nil
}

func report(progress func(string), line string) {
	if progress != nil {
		progress(line)
	}
}

// ImageExists reports whether an image is in local storage.
func (f *Fake) ImageExists(ctx context.Context, image string) (bool, error) {
	if err := f.enter(ctx, "ImageExists", image); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, found := f.images[image]
	return found, nil
}

// RemoveImage untags a local image.
func (f *Fake) RemoveImage(ctx context.Context, image string) error {
	if err := f.enter(ctx, "RemoveImage", image); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.images, func(reference string, _ fakeImage) bool { return reference == image })
	return nil
}

// PruneImage takes a name from an image that no container uses.
func (f *Fake) PruneImage(ctx context.Context, image string) (bool, error) {
	if err := f.enter(ctx, "PruneImage", image); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	found, here := f.images[image]
	for _, c := range f.containers {
		if c.imageID == found.id {
			return false, nil
		}
	}
	delete(f.images, image)
	return here, nil
}

// Build goes through the Containerfile's lines. It heeds CMD, and runs what
// RUN gives in its JSON form.
func (f *Fake) Build(ctx context.Context, spec BuildSpec) (string, error) {
	if err := f.enter(ctx, "Build", spec.Tag); err != nil {
		return "", err
	}
	if _, err := os.Stat(spec.Context); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "build %s: build context %s", spec.Tag, spec.Context)
	}
	text, err := os.ReadFile(spec.Containerfile)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "build %s: Containerfile %s", spec.Tag, spec.Containerfile)
	}
	image := newFakeImage(string(text), nil)
	var log []string
	out := spec.Out
	if out == nil {
		out = io.Discard
	}
	for lines, n := bufio.NewScanner(bytes.NewReader(text)), 1; lines.Scan(); n++ {
		step := fmt.Sprintf("STEP %d: %s", n, lines.Text())
		log = append(log, step)
		fmt.Fprintln(out, step)
		instruction, rest, _ := strings.Cut(lines.Text(), " ")
		var cmd []string
		if json.Unmarshal([]byte(rest), &cmd) != nil {
			continue
		}
		if instruction == "CMD" {
			image.cmd = cmd
		}
		if instruction != "RUN" {
			continue
		}
		program := f.Program(cmd)
		if err := program.await(ctx); err != nil {
			return "", fmt.Errorf("build %s: %w", spec.Tag, err)
		}
		log = append(log, program.Output...)
		if program.ExitCode != 0 || program.Missing {
			failed := fault.New(fault.Invalid, "build %s: %s: exit status %d", spec.Tag, step, program.ExitCode)
			failed.Log = log
			return "", failed
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[spec.Tag] = image
	return image.id, nil
}
