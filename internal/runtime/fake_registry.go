package runtime

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
)

// FakeRegistry is an image registry in memory.
type FakeRegistry struct {
	// Address is the host at the beginning of its references. Every other
	// image registry is unreachable.
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

// Add adds images to the image registry.
func (r *FakeRegistry) Add(references ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reference := range references {
		r.images[reference] = newFakeImage(reference, nil)
	}
}

// Digest returns the manifest digest of a tag, and whether the tag exists.
func (r *FakeRegistry) Digest(reference string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	image, found := r.images[reference]
	return image.digest, found
}

// reach returns an error if an image belongs to another registry, or this one is
// down.
func (r *FakeRegistry) reach(reference string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if host, _, _ := strings.Cut(reference, "/"); host != r.Address || r.down {
		return fault.New(fault.Unavailable, "reach the image registry of %s: connection refused", reference)
	}
	return nil
}

// find returns the image with that tag, or with that digest in the same
// repository.
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

// repositoryOf removes the tag from a reference.
func repositoryOf(reference string) string {
	if colon := strings.LastIndex(reference, ":"); colon > strings.LastIndex(reference, "/") {
		return reference[:colon]
	}
	return reference
}

type fakeImage struct {
	id, digest string
	cmd        []string
}

func newFakeImage(content string, cmd []string) fakeImage {
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	return fakeImage{id: id, digest: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(id))), cmd: cmd}
}
