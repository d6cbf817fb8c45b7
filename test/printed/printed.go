// Package printed has what programs under test have printed so far.
package printed

import (
	"bytes"
	"sync"
)

// Text is a buffer that several goroutines write to and read from. The zero value is empty.
type Text struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write appends to the text.
func (t *Text) Write(more []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.Write(more)
}

// String is all that was written so far.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.String()
}
