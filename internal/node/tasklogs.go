package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// Bounds of the outputs of tasks that are kept.
const (
	taskLogAge  = 30 * 24 * time.Hour
	maxTaskLogs = 1000
	taskLogEnd  = ".log"
)

// TaskLogs keeps the outputs of tasks as files of a directory, for 30 days and no more
// than the last thousand.
type TaskLogs struct {
	// Dir is the directory, which is created if it is missing.
	Dir string
}

// Keep writes the output of the task with that container.
func (l TaskLogs) Keep(container string, output []byte) error {
	path, err := l.path(container)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return translate(err, "keep the output of %s", container)
	}
	file, err := os.CreateTemp(l.Dir, ".task-*")
	if err != nil {
		return translate(err, "keep the output of %s", container)
	}
	_, err = file.Write(output)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return translate(errors.Join(err, os.Remove(file.Name())), "keep the output of %s", container)
	}
	l.thin(time.Now())
	return nil
}

// Read returns what was kept. It is NotFound if there is nothing, or it has been
// removed since.
func (l TaskLogs) Read(container string) ([]byte, error) {
	path, err := l.path(container)
	if err != nil {
		return nil, err
	}
	output, err := os.ReadFile(path)
	return output, translate(err, "read the output of %s", container)
}

// path returns the file of a container.
func (l TaskLogs) path(container string) (string, error) {
	if container == "" || strings.HasPrefix(container, ".") || strings.ContainsAny(container, `/\`) {
		return "", fault.New(fault.Invalid, "%q is not the name of a container", container)
	}
	return filepath.Join(l.Dir, container+taskLogEnd), nil
}

// thin removes the files that are too old or too many, and those left by a worker that
// died while it wrote them. What cannot be removed stays until the next time.
func (l TaskLogs) thin(now time.Time) {
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return
	}
	var kept []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		left := strings.HasPrefix(info.Name(), ".task-") && now.Sub(info.ModTime()) > time.Hour
		if left || now.Sub(info.ModTime()) > taskLogAge {
			_ = os.Remove(filepath.Join(l.Dir, info.Name()))
			continue
		}
		if strings.HasSuffix(info.Name(), taskLogEnd) {
			kept = append(kept, info)
		}
	}
	oldestFirst(kept)
	for _, info := range kept[:max(0, len(kept)-maxTaskLogs)] {
		_ = os.Remove(filepath.Join(l.Dir, info.Name()))
	}
}

func oldestFirst(files []fs.FileInfo) {
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
}

// translate returns the fault of an operation on files; nil for no error.
func translate(err error, doing string, args ...any) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(fault.NotFound, err, doing, args...)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Wrap(fault.DiskFull, err, doing, args...)
	}
	return fault.Wrap(fault.Internal, err, doing, args...)
}
