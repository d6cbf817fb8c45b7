package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Limits of the logs, in bytes.
const (
	// DefaultSize is the size at which a file is replaced. One former file is kept.
	DefaultSize = 16 << 20
	// maxPending is how much of one service's log waits for the disk.
	maxPending = 1 << 20
)

// flushEvery is how long a line may wait in memory.
const flushEvery = 500 * time.Millisecond

// Logs are the access logs of all services. Its methods may be called concurrently.
type Logs struct {
	dir  string
	size int64

	mu    sync.RWMutex
	files map[string]*file // by service

	end     chan struct{}
	ended   chan struct{}
	closing sync.Once
}

// file is the log of one service.
type file struct {
	path string

	pendingMu sync.Mutex
	pending   []byte
	dropped   int

	// diskMu serializes writes, and guards the fields below.
	diskMu  sync.Mutex
	open    *os.File
	written int64
	failed  error
}

// Open returns the logs in a directory, which it creates. A file is replaced when it
// reaches size bytes; 0 means DefaultSize.
func Open(dir string, size int64) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of access logs: %w", err)
	}
	if size == 0 {
		size = DefaultSize
	}
	l := &Logs{dir: dir, size: size, files: map[string]*file{}, end: make(chan struct{}), ended: make(chan struct{})}
	go l.flushAlways()
	return l, nil
}

// Log adds a line to the log of a service, which is a DNS label.
func (l *Logs) Log(service string, a fleet.Access) {
	f := l.file(service)
	f.pendingMu.Lock()
	defer f.pendingMu.Unlock()
	if len(f.pending) >= maxPending {
		f.dropped++
		return
	}
	f.pending = appendLine(f.pending, &a)
}

// Problems says which logs are not complete, and why.
func (l *Logs) Problems() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var problems []string
	for service, f := range l.files {
		f.pendingMu.Lock()
		dropped := f.dropped
		f.pendingMu.Unlock()
		f.diskMu.Lock()
		failed := f.failed
		f.diskMu.Unlock()
		if failed != nil {
			problems = append(problems, fmt.Sprintf("the access log of %s is not written (%d lines are lost): %v", service, dropped, failed))
		}
	}
	return problems
}

// Close writes what is in memory and closes the files.
func (l *Logs) Close() {
	l.closing.Do(func() {
		close(l.end)
		<-l.ended
	})
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, f := range l.files {
		f.flush(l.size)
		f.close()
	}
}

// file returns the log of a service.
func (l *Logs) file(service string) *file {
	l.mu.RLock()
	f, ok := l.files[service]
	l.mu.RUnlock()
	if ok {
		return f
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok = l.files[service]; !ok {
		f = &file{path: filepath.Join(l.dir, service+".log")}
		l.files[service] = f
	}
	return f
}

// flushAlways writes all lines at intervals.
func (l *Logs) flushAlways() {
	defer close(l.ended)
	for {
		select {
		case <-l.end:
			return
		case <-time.After(flushEvery):
		}
		l.mu.RLock()
		all := make([]*file, 0, len(l.files))
		for _, f := range l.files {
			all = append(all, f)
		}
		l.mu.RUnlock()
		for _, f := range all {
			f.flush(l.size)
		}
	}
}

// flush writes the pending lines. Those of a write that fails are tried again until
// there are too many.
func (f *file) flush(size int64) {
	f.diskMu.Lock()
	defer f.diskMu.Unlock()
	f.pendingMu.Lock()
	lines := f.pending
	f.pending = nil
	f.pendingMu.Unlock()
	if len(lines) == 0 {
		return
	}
	n, err := f.write(lines, size)
	f.failed = err
	if err == nil {
		return
	}
	f.pendingMu.Lock()
	defer f.pendingMu.Unlock()
	f.pending = append(lines[n:], f.pending...)
}

// write appends whole lines to the file, which it replaces if it is large enough. It
// returns how much it has written.
func (f *file) write(lines []byte, size int64) (int, error) {
	if f.open != nil && f.written >= size {
		f.close()
		if err := os.Rename(f.path, former(f.path)); err != nil {
			return 0, err
		}
	}
	if f.open == nil {
		open, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		end, err := open.Seek(0, 2)
		if err != nil {
			return 0, errors.Join(err, open.Close())
		}
		f.open, f.written = open, end
	}
	n, err := f.open.Write(lines)
	f.written += int64(n)
	return n, err
}

func (f *file) close() {
	if f.open != nil {
		_ = f.open.Close() // what was written is in the kernel
		f.open = nil
	}
}

// former is the path of the file before the one at path.
func former(path string) string { return path + ".1" }

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
