package podman

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// filePoll is the time between two reads of a file that is followed, and endPoll that
// between two checks whether the container still runs.
const filePoll, endPoll = 100 * time.Millisecond, time.Second

// logChunk is a number of bytes that is larger than an entry.
const logChunk = 64 << 10

// logFile is the file in which podman's driver k8s-file stores a log. Podman
// replaces it when it reaches its bound.
type logFile struct {
	path string
	file *os.File
}

// openLogFile opens the log of a container if it is readable; nil otherwise. It is not
// readable where podman is another user's.
func openLogFile(data *inspected) *logFile {
	kind, path := data.HostConfig.LogConfig.Type, data.HostConfig.LogConfig.Path
	if path == "" || kind != "k8s-file" && kind != "json-file" {
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
	return &logFile{path: path, file: file}
}

func (l *logFile) close() { _ = l.file.Close() }

// read calls each with the entries that are not older than since, until the end of
// the file or until each returns false.
func (l *logFile) read(ctx context.Context, since time.Time, each func(logEntry) bool) error {
	return l.follow(ctx, since, func() (bool, error) { return false, nil }, each)
}

// follow is read that continues with new entries for as long as the container
// runs.
func (l *logFile) follow(ctx context.Context, since time.Time, running func() (bool, error), each func(logEntry) bool) error {
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
			if ok && !entry.time.Before(since) && !each(entry) {
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
func (l *logFile) reopen() bool {
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
	l.close()
	l.file = file
	return true
}

// lastFrom returns the time of the line before the last n, zero if there is none.
func (l *logFile) lastFrom(n int) (time.Time, error) {
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
			if entry, ok := parseEntry(text); ok && entry.ends {
				times = append(times[max(0, len(times)-n):], entry.time)
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
func (l *logFile) seek(since time.Time) error {
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
		if ok && entry.time.Before(since) {
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
func parseEntry(line []byte) (logEntry, bool) {
	parts := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 4)
	if len(parts) < 4 {
		return logEntry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(parts[0]))
	if err != nil {
		return logEntry{}, false
	}
	entry := logEntry{time: at.UTC(), text: parts[3], ends: string(parts[2]) != "P"}
	if string(parts[1]) == "stderr" {
		entry.stream = stderrStream
	}
	return entry, true
}

// readFile is logs for a container whose log file is readable.
func (e *Engine) readFile(ctx context.Context, l *logFile, id string, q runtime.LogQuery, each func(logEntry) bool) error {
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
		return l.read(ctx, since, each)
	}
	return l.follow(ctx, since, func() (bool, error) {
		info, err := e.Inspect(ctx, id)
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		return info.State == runtime.Running, err
	}, each)
}

// logEntry is a line, or a piece of one, as podman stores it.
type logEntry struct {
	time   time.Time
	stream byte
	text   []byte // valid until the next entry
	// ends is set for the last piece of a line.
	ends bool
}
