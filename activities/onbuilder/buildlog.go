package onbuilder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

const (
	// keptLogs is how many build logs of one image are kept.
	keptLogs = 20
	// longestLog bounds one log, in bytes.
	longestLog = 64 << 20
	// logTime is the part of a log's name by which logs sort.
	logTime = "20060102T150405.000000"
)

// buildLog is the file that keeps the output of one build.
type buildLog struct {
	name  string
	file  *os.File
	room  int
	image string
	began time.Time
}

// openLog creates the log of one build. Its first line names the image.
func (a *Builder) openLog(in BuildInput) (*buildLog, error) {
	if err := os.MkdirAll(a.Logs, 0o700); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "create the directory of build logs")
	}
	prefix := logPrefix(in.Service, servicedef.ImageName(in.Image))
	if err := pruneLogs(filepath.Join(a.Logs, prefix+"*.log")); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "prune build logs")
	}
	began := time.Now().UTC()
	path := filepath.Join(a.Logs, prefix+began.Format(logTime)+".log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "open the build log")
	}
	log := &buildLog{name: path, file: file, room: longestLog, image: in.Image, began: began}
	of := ""
	if in.Source != nil {
		of = fmt.Sprintf(" from commit %s, %s", in.Source.Short(), in.Source.Subject)
	}
	_, _ = fmt.Fprintf(file, "# build of %s%s, %s\n", in.Image, of, began.Format(time.RFC3339))
	return log, nil
}

// logPrefix begins the names of an image's logs. A name of an image contains no "@".
func logPrefix(service, image string) string { return service + "@" + image + "@" }

// Write adds to the log, as long as there is room.
func (l *buildLog) Write(p []byte) (int, error) {
	part := p[:min(len(p), l.room)]
	if len(part) > 0 {
		if _, err := l.file.Write(part); err != nil {
			l.room = 0 // a build does not fail because its log cannot be written
			return len(p), nil
		}
	}
	if l.room -= len(part); l.room == 0 && len(part) > 0 {
		_, _ = fmt.Fprintf(l.file, "\n# the log is cut here, at %d MiB\n", longestLog>>20)
	}
	return len(p), nil
}

// end adds how the build has ended.
func (l *buildLog) end(err error) {
	took := time.Since(l.began).Round(time.Millisecond)
	if err != nil {
		_, _ = fmt.Fprintf(l.file, "# failed after %s: %s\n", took, fault.Of(err).Message)
		return
	}
	_, _ = fmt.Fprintf(l.file, "# built %s in %s\n", l.image, took)
}

func (l *buildLog) close() { _ = l.file.Close() }

// pruneLogs makes room for one more log: their names sort by time.
func pruneLogs(pattern string) error {
	logs, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	slices.Sort(logs)
	for len(logs) >= keptLogs {
		if err := os.Remove(logs[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		logs = logs[1:]
	}
	return nil
}

// BuildLogInput asks for a part of a build log.
type BuildLogInput struct {
	Service string `json:"service"`
	// Images are entries of [build.images]: the log is the newest of all of these, or of
	// all images if it is empty.
	Images []string `json:"images,omitempty"`
	// File is the one that a former answer named, and Offset where it ended; "" for the
	// newest.
	File   string `json:"file,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	// Bytes bounds the answer.
	Bytes int `json:"bytes"`
}

// BuildLogResult is a part of a build log.
type BuildLogResult struct {
	Builder string `json:"builder"`
	// File is the log, "" if there is none.
	File string `json:"file,omitempty"`
	Text string `json:"text,omitempty"`
	// Next is where the text ends, and End is set if the log ended there.
	Next int64 `json:"next"`
	End  bool  `json:"end"`
}

// BuildLog reads a part of a build log: as much as the answer may hold.
func (a *Builder) BuildLog(_ context.Context, in BuildLogInput) (BuildLogResult, error) {
	return ReadBuildLog(a.Name, a.Logs, in)
}

// ReadBuildLog is BuildLog for the logs in a directory.
func ReadBuildLog(builder, dir string, in BuildLogInput) (BuildLogResult, error) {
	result := BuildLogResult{Builder: builder, File: in.File, Next: in.Offset, End: true}
	if in.File == "" {
		newest, err := newestLog(dir, in.Service, in.Images)
		if err != nil || newest == "" {
			return result, err
		}
		result.File = newest
	}
	if filepath.Base(result.File) != result.File || !strings.HasPrefix(result.File, in.Service+"@") {
		return result, fault.New(fault.Invalid, "%q is no build log of %s", result.File, in.Service)
	}
	file, err := os.Open(filepath.Join(dir, result.File))
	if errors.Is(err, fs.ErrNotExist) {
		return result, fault.New(fault.NotFound, "the build log %s on builder %s is gone", result.File, builder)
	}
	if err != nil {
		return result, fault.Wrap(fault.Internal, err, "open the build log")
	}
	defer file.Close()
	text := make([]byte, max(1, in.Bytes))
	n, err := file.ReadAt(text, max(0, in.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return result, fault.Wrap(fault.Internal, err, "read the build log")
	}
	result.End = errors.Is(err, io.EOF)
	if !result.End {
		n = whole(text[:n])
	}
	result.Text, result.Next = string(text[:n]), max(0, in.Offset)+int64(n)
	return result, nil
}

// whole returns how much of a text consists of whole lines, or all of it if it has no line
// break.
func whole(text []byte) int {
	if i := strings.LastIndexByte(string(text), '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// newestLog returns the newest log of a service's images; "" if there is none.
func newestLog(dir, service string, images []string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.Wrap(fault.Internal, err, "list the build logs")
	}
	var names []string
	for _, entry := range entries {
		if len(images) == 0 && strings.HasPrefix(entry.Name(), service+"@") {
			names = append(names, entry.Name())
		}
		for _, image := range images {
			if strings.HasPrefix(entry.Name(), logPrefix(service, image)) {
				names = append(names, entry.Name())
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(a[strings.LastIndexByte(a, '@'):], b[strings.LastIndexByte(b, '@'):])
	})
	if len(names) == 0 {
		return "", nil
	}
	return names[len(names)-1], nil
}
