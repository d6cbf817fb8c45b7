package access

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// Limits of what is read at once.
const (
	// MaxLines is the largest number of lines that Read returns.
	MaxLines = 10000
	// maxBytes bounds their size: they travel in one message.
	maxBytes = 1 << 20
	// chunk is how much is read from the disk at once.
	chunk = 64 << 10
)

// disorder is how much older a line may be than the one before it: requests end at the
// same time on several processors.
const disorder = time.Minute

// Read returns the last lines of a service's log, oldest first: at most tail, MaxLines
// or one megabyte, and each newer than since. It reads no more of the files than that.
func (l *Logs) Read(ctx context.Context, service string, tail int, since time.Time) ([]string, error) {
	f := l.file(service)
	f.flush(l.size)
	r := &reader{tail: min(tail, MaxLines), since: since}
	for _, path := range []string{f.path, former(f.path)} {
		if err := r.file(ctx, path); err != nil && !missing(err) {
			return nil, fmt.Errorf("read the access log of %s: %w", service, err)
		}
	}
	slices.Reverse(r.lines)
	return r.lines, nil
}

// reader collects lines from the newest to the oldest.
type reader struct {
	tail  int
	since time.Time
	lines []string
	size  int
	full  bool
}

// file reads a file from its end, until there are enough lines.
func (r *reader) file(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	var rest []byte // the beginning of a line whose end has been read
	for at := info.Size(); at > 0 && !r.enough(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(at, chunk)
		at -= n
		block := make([]byte, n, int(n)+len(rest))
		if _, err := file.ReadAt(block, at); err != nil {
			return err
		}
		block = append(block, rest...)
		rest = r.block(block, at == 0)
	}
	return nil
}

// block adds the lines of a block, and returns what remains of its first line unless it
// is the first of the file.
func (r *reader) block(block []byte, first bool) []byte {
	for !r.enough() {
		i := bytes.LastIndexByte(bytes.TrimSuffix(block, []byte("\n")), '\n')
		if i < 0 {
			if !first {
				return block
			}
			r.add(block)
			return nil
		}
		r.add(block[i+1:])
		block = block[:i+1]
	}
	return nil
}

func (r *reader) add(line []byte) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) == 0 {
		return
	}
	at, ok := timeOf(line)
	switch {
	case !ok: // the rest of a write that failed
	case r.size+len(line) > maxBytes, !r.since.IsZero() && at.Before(r.since.Add(-disorder)):
		r.full = true
	case r.since.IsZero() || at.After(r.since):
		r.lines = append(r.lines, string(line))
		r.size += len(line)
	}
}

func (r *reader) enough() bool { return r.full || len(r.lines) >= r.tail }
