package podman

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

const (
	// largeLog is the size in bytes from which a log is read from podman's file.
	// Given a time, podman parses the file from its beginning, which takes 20 s
	// for 100 MB.
	largeLog = 1 << 20
	// filePoll is the time between two reads of a file that is followed, and
	// endPoll that between two checks whether the container still runs.
	filePoll, endPoll = 100 * time.Millisecond, time.Second
)

// logFile is the file in which podman's driver k8s-file stores a log. Podman
// replaces it when it reaches its bound.
type logFile struct {
	path string
	file *os.File
	// precision is that of the times in podman's answers, so that the lines of a
	// file have the same times as those.
	precision time.Duration
}

// openLogFile opens the log of a container if it is large and readable; nil
// otherwise. It is not readable where podman is another user's.
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
	if err != nil || !info.Mode().IsRegular() || info.Size() < largeLog {
		_ = file.Close()
		return nil
	}
	return &logFile{path: path, file: file, precision: time.Nanosecond}
}

func (l *logFile) close() { _ = l.file.Close() }

// read calls each with the entries that are not older than since, until the end of
// the file or until each returns false.
func (l *logFile) read(ctx context.Context, since time.Time, each func(logEntry) bool) error {
	return l.follow(ctx, since, func() bool { return false }, each)
}

// follow is read that continues with new entries for as long as the container
// runs.
func (l *logFile) follow(ctx context.Context, since time.Time, running func() bool, each func(logEntry) bool) error {
	if err := l.seek(since); err != nil {
		return err
	}
	var text []byte
	reader := bufio.NewReaderSize(l.file, 64<<10)
	for more, asked := running(), time.Now(); ; {
		part, err := reader.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			entry, ok := l.parse(text)
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
			more, asked = running(), time.Now()
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

// seek moves to an entry before which all are older than since. Times in a log
// increase.
func (l *logFile) seek(since time.Time) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	low, high := int64(0), info.Size()
	chunk := make([]byte, 64<<10) // more than an entry has
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
		entry, ok := l.parse(line)
		if ok && entry.time.Before(since) {
			low = begin
		} else {
			high = middle
		}
	}
	_, err = l.file.Seek(low, io.SeekStart)
	return err
}

// parse parses "TIME STREAM F TEXT", where P instead of F marks a piece of a line
// that continues.
func (l *logFile) parse(line []byte) (logEntry, bool) {
	parts := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 4)
	if len(parts) < 4 {
		return logEntry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(parts[0]))
	if err != nil {
		return logEntry{}, false
	}
	entry := logEntry{time: at.UTC().Truncate(l.precision), text: parts[3], ends: string(parts[2]) != "P"}
	if string(parts[1]) == "stderr" {
		entry.stream = stderrStream
	}
	return entry, true
}

// readFile is logs for a container whose log is large.
func (e *Engine) readFile(ctx context.Context, l *logFile, id string, q runtime.LogQuery, each func(logEntry) bool) error {
	tail := max(q.Tail, 1)
	from, last, err := e.lastFrom(ctx, id, tail)
	if err != nil {
		return err
	}
	if last.Nanosecond() == 0 {
		l.precision = time.Second
	}
	since := q.Since
	if q.Tail > 0 && from.After(since) {
		since = from
	}
	if !q.Follow {
		return l.read(ctx, since, each)
	}
	return l.follow(ctx, since, func() bool {
		info, err := e.Inspect(ctx, id)
		return err == nil && info.State == runtime.Running
	}, each)
}
