package printed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/metacircular/mcp/internal/runtime"
)

// filePoll is the time between two reads of a file that is followed, and endPoll that
// between two checks whether the container still runs.
const filePoll, endPoll = 100 * time.Millisecond, time.Second

// logChunk is a number of bytes that is larger than an entry.
const logChunk = 64 << 10

// LogFile is the file in which podman's driver k8s-file stores a log. Podman
// replaces it when it reaches its bound.
type LogFile struct {
	path string
	file *os.File
}

// OpenLogFile opens the log of a container, given its driver and its path, if it is
// readable; nil otherwise. It is not readable if podman is another user's.
func OpenLogFile(driver, path string) *LogFile {
	if path == "" || driver != "k8s-file" && driver != "json-file" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil
	}
	return &LogFile{path: path, file: file}
}

// Close closes the file.
func (l *LogFile) Close() { _ = l.file.Close() }

// Read calls each with the entries that a query selects, until the end of the file or until
// each returns false. If the query follows the log, Read continues with new entries for as
// long as the container has a program, which running reports.
func (l *LogFile) Read(ctx context.Context, q runtime.LogQuery, running func() (bool, error), each func(Entry) bool) error {
	since := q.Since
	if q.Tail > 0 {
		from, err := l.lastFrom(q.Tail)
		if err != nil {
			return err
		}
		if from.After(since) {
			since = from
		}
	}
	if !q.Follow {
		running = func() (bool, error) { return false, nil }
	}
	return l.follow(ctx, since, running, each)
}

// follow calls each with the entries that are not older than since, until each returns
// false or until the end of the file when the container does not run.
func (l *LogFile) follow(ctx context.Context, since time.Time, running func() (bool, error), each func(Entry) bool) error {
	if err := l.seek(since); err != nil {
		return err
	}
	more, err := running()
	if err != nil {
		return err
	}
	var text []byte
	reader := bufio.NewReaderSize(l.file, logChunk)
	for asked := time.Now(); ; {
		part, err := reader.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			entry, ok := parseEntry(text)
			text = text[:0]
			if ok && !entry.Time.Before(since) && !each(entry) {
				return nil
			}
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case !errors.Is(err, io.EOF):
			return err
		case l.reopen():
			text = text[:0]
			reader.Reset(l.file)
			continue
		case !more:
			return nil
		}
		if time.Since(asked) >= endPoll {
			if more, err = running(); err != nil {
				return err
			}
			asked = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(filePoll):
		}
	}
}

// reopen opens the file that podman has put in the place of this one, if it has.
func (l *LogFile) reopen() bool {
	now, err := os.Stat(l.path)
	if err != nil {
		return false
	}
	own, err := l.file.Stat()
	if err != nil || os.SameFile(own, now) {
		return false
	}
	file, err := os.Open(l.path)
	if err != nil {
		return false
	}
	l.Close()
	l.file = file
	return true
}

// lastFrom returns the time of the line before the last n, zero if there is none.
func (l *LogFile) lastFrom(n int) (time.Time, error) {
	info, err := l.file.Stat()
	if err != nil {
		return time.Time{}, err
	}
	for size := int64(logChunk); ; size *= 2 {
		begin := max(0, info.Size()-size)
		end := bufio.NewReader(io.NewSectionReader(l.file, begin, info.Size()-begin))
		if begin > 0 {
			_, _ = end.ReadBytes('\n') // a part of an entry
		}
		var times []time.Time // of the last n+1 lines
		for {
			text, err := end.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return time.Time{}, err
			}
			if entry, ok := parseEntry(text); ok && entry.Ends {
				times = append(times[max(0, len(times)-n):], entry.Time)
			}
		}
		if len(times) > n {
			return times[0], nil
		}
		if begin == 0 {
			return time.Time{}, nil
		}
	}
}

// seek moves to an entry before which all are older than since. Times in a log
// increase.
func (l *LogFile) seek(since time.Time) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	low, high := int64(0), info.Size()
	chunk := make([]byte, logChunk)
	for low < high && !since.IsZero() {
		middle := low + (high-low)/2
		n, err := l.file.ReadAt(chunk, middle)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := bytes.IndexByte(chunk[:n], '\n')
		begin := middle + int64(end) + 1
		if end < 0 || begin >= high {
			high = middle
			continue
		}
		line, _, _ := bytes.Cut(chunk[end+1:n], []byte("\n"))
		entry, ok := parseEntry(line)
		if ok && entry.Time.Before(since) {
			low = begin
		} else {
			high = middle
		}
	}
	_, err = l.file.Seek(low, io.SeekStart)
	return err
}

// parseEntry parses "TIME STREAM F TEXT", where P instead of F marks a piece of a line
// that continues.
func parseEntry(line []byte) (Entry, bool) {
	parts := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 4)
	if len(parts) < 4 {
		return Entry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(parts[0]))
	if err != nil {
		return Entry{}, false
	}
	return Entry{Time: at.UTC(), Stderr: string(parts[1]) == "stderr", Text: parts[3], Ends: string(parts[2]) != "P"}, true
}
