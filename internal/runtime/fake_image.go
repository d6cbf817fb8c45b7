package runtime

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

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
	if spec.Sent != nil {
		spec.Sent(image.digest)
	}
	return nil
}

// Pull copies an image from the registry, unless local storage has its digest.
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

// PruneImage removes a name of an image that no container uses.
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

// Build prints each line of the Containerfile as a step. It executes CMD and RUN
// only in their JSON form.
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
