package keyring

import (
	"io/fs"
	"os"
	"sync"
	"time"
)

// checkEvery is how often a file of keys is checked for changes.
const checkEvery = 2 * time.Second

// Keys are those of a file that may change: a running process adopts a key that is
// added to its file, and one that becomes the first. It is safe for use by many
// goroutines.
type Keys struct {
	path string

	mu      sync.Mutex
	ring    Ring
	stamp   stamp
	checked time.Time
	err     error
}

// stamp distinguishes the contents of a file without reading them.
type stamp struct {
	modified time.Time
	size     int64
	mode     fs.FileMode
}

// Open reads a file of keys, like [Read].
func Open(path string) (*Keys, error) {
	k := &Keys{path: path}
	k.reload()
	return k, k.err
}

// Path returns the path of the file.
func (k *Keys) Path() string { return k.path }

// Current returns the key that encrypts; false if none does yet.
func (k *Keys) Current() (Key, bool) {
	ring := k.Ring()
	if ring.Standby || len(ring.Keys) == 0 {
		return Key{}, false
	}
	return ring.Keys[0], true
}

// Find returns the key of a name. For one that is missing it reads the file at once.
func (k *Keys) Find(id string) (Key, bool) {
	if key, ok := k.Ring().Find(id); ok {
		return key, true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reload()
	return k.ring.Find(id)
}

// Ring returns the keys.
func (k *Keys) Ring() Ring {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.checked) >= checkEvery {
		k.reload()
	}
	return k.ring
}

// Problem returns why the file could not be read the last time: the keys are then the
// former ones.
func (k *Keys) Problem() error {
	k.Ring()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// reload reads the file if it has changed since.
func (k *Keys) reload() {
	k.checked = time.Now()
	var now stamp
	if info, err := os.Lstat(k.path); err == nil {
		now = stamp{info.ModTime(), info.Size(), info.Mode()}
	}
	if k.err == nil && now == k.stamp && len(k.ring.Keys) > 0 {
		return
	}
	ring, err := Read(k.path)
	if k.err = err; err == nil {
		k.ring, k.stamp = ring, now
	}
}
