package storage

import (
	"context"
	"time"
)

// Remote keeps values for all edges. Its methods may be called concurrently, and more
// than once if an answer was lost.
type Remote interface {
	// Load returns the value of a key. The error wraps fs.ErrNotExist if there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store sets the value of a key.
	Store(ctx context.Context, key string, value []byte) error
	// Replace sets the value of a key if it has the former value, and reports whether
	// it has.
	Replace(ctx context.Context, key string, former, value []byte) (bool, error)
	// Delete removes a key, and those below it, which begin with key and a slash. It is
	// no error if there is none.
	Delete(ctx context.Context, key string) error
	// List returns a key, if it has a value, and those below it, sorted. Every key is
	// below "".
	List(ctx context.Context, key string) ([]Entry, error)
	// Lock takes a lock, or prolongs it, for the duration of the lease, and reports
	// whether the holder has it.
	Lock(ctx context.Context, name, holder string, lease time.Duration) (bool, error)
	// Unlock frees a lock if the holder has it.
	Unlock(ctx context.Context, name, holder string) error
}

// Entry describes the value of a key.
type Entry struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}
