package signing

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/renameio/v2"
)

// maxAccepted is how many images Accepted records.
const maxAccepted = 2000

// Accepted records which key an image's signature was checked with, in a file, so that
// an image that is still here needs no image registry. It is safe for concurrent use.
type Accepted struct {
	// Path is the file; "" keeps the record only in the process.
	Path string

	mu   sync.Mutex
	read bool
	list []acceptedImage // oldest first
}

type acceptedImage struct {
	Image string `json:"image"`
	Key   string `json:"key"` // its fingerprint
}

// Has reports whether the image was accepted by one of the keys.
func (a *Accepted) Has(image string, keys []PublicKey) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.load()
	return slices.ContainsFunc(a.list, func(i acceptedImage) bool {
		return i.Image == image && slices.ContainsFunc(keys, func(k PublicKey) bool { return k.Fingerprint == i.Key })
	})
}

// Add records an image. A file that cannot be written costs a request to the image
// registry later.
func (a *Accepted) Add(image string, key PublicKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.load()
	added := acceptedImage{Image: image, Key: key.Fingerprint}
	if slices.Contains(a.list, added) {
		return
	}
	a.list = append(a.list, added)
	a.list = a.list[max(0, len(a.list)-maxAccepted):]
	if a.Path == "" {
		return
	}
	text, _ := json.Marshal(a.list) // strings never fail
	if os.MkdirAll(filepath.Dir(a.Path), 0o700) == nil {
		_ = renameio.WriteFile(a.Path, text, 0o600, renameio.WithTempDir(filepath.Dir(a.Path)))
	}
}

// load reads the file once. One that is damaged counts as empty.
func (a *Accepted) load() {
	if a.read || a.Path == "" {
		return
	}
	a.read = true
	if text, err := os.ReadFile(a.Path); err == nil && json.Unmarshal(text, &a.list) != nil {
		a.list = nil
	}
}
