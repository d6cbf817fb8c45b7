// Package hosts keeps the files that containers have as /etc/hosts.
//
// A container sees a change of such a file at once, because it is mounted and written in
// place: no file is recreated, renamed or truncated, and one write changes all of it. A
// program that caches the text, as Go's do, reads it again when the file's time of
// modification has changed, so that is set when the text is there.
package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// block is the unit of a file's size: what a shorter text leaves of it is filled with
// newlines.
const block = 4096

// markSuffix ends the name of the file that marks another one.
const markSuffix = ".healthy"

// Files are the files below a directory, by service and key: a key is the container's,
// and no two containers ever have the same one.
type Files struct{ Dir string }

// Path returns the path of a file, whether it exists or not.
func (f Files) Path(service, key string) string { return filepath.Join(f.Dir, service, key) }

// Keep writes the files of a service, given by key, and removes all its others. For a
// service without files it removes the directory.
func (f Files) Keep(service string, texts map[string]string) error {
	if !safe(service) {
		return fault.New(fault.Invalid, "write the names of service %q: that is not the name of a service", service)
	}
	dir := filepath.Join(f.Dir, service)
	if len(texts) == 0 {
		return wrap(os.RemoveAll(dir), "remove the names of service %s", service)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return wrap(err, "make a directory for the names of service %s", service)
	}
	var written []*os.File
	defer func() {
		for _, file := range written {
			_ = file.Close()
		}
	}()
	for key, text := range texts {
		if !safe(key) {
			return fault.New(fault.Invalid, "write the names of service %s: %q is no key", service, key)
		}
		file, err := write(filepath.Join(dir, key), text)
		if err != nil {
			return wrap(err, "write the names of service %s", service)
		}
		if file != nil {
			written = append(written, file)
		}
	}
	for _, file := range written { // when the containers have all of them
		if err := file.Sync(); err != nil {
			return wrap(err, "write the names of service %s", service)
		}
	}
	return f.clear(dir, texts)
}

// clear removes the files of other keys than those of texts.
func (f Files) clear(dir string, texts map[string]string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return wrap(err, "list %s", dir)
	}
	for _, entry := range entries {
		if _, kept := texts[strings.TrimSuffix(entry.Name(), markSuffix)]; kept {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return wrap(err, "remove %s", entry.Name())
		}
	}
	return nil
}

// write writes a text in place, and returns the open file; nil if the file has the text
// already.
func write(path, text string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "write", Path: path, Err: errors.New("not a regular file")}
	}
	var former []byte
	if err == nil {
		former = make([]byte, info.Size())
		_, err = file.ReadAt(former, 0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	size := max(len(former), (len(text)+block-1)/block*block)
	padded := append([]byte(text), bytes.Repeat([]byte("\n"), size-len(text))...)
	if bytes.Equal(former, padded) {
		return nil, file.Close()
	}
	if _, err := file.WriteAt(padded, 0); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := touch(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// touch sets a file's time of modification to one that it has not had. The kernel sets it
// before it copies what is written, and to the time of the last tick of its clock: a
// program that read the former text in between, or within the same tick, would take the
// changed file for the one it has read.
func touch(path string) error {
	now := time.Now()
	return os.Chtimes(path, now, now)
}

// Has reports whether the file of a key exists.
func (f Files) Has(service, key string) bool {
	_, err := os.Stat(f.Path(service, key))
	return safe(service) && safe(key) && err == nil
}

// Mark marks the container of a key as healthy, until Keep removes its file.
func (f Files) Mark(service, key string) error {
	if !safe(service) || !safe(key) {
		return fault.New(fault.Invalid, "mark %q of service %q: no such file", key, service)
	}
	return wrap(os.WriteFile(f.Path(service, key)+markSuffix, nil, 0o600), "record that a container of %s is healthy", service)
}

// Marked reports whether Mark has marked the container.
func (f Files) Marked(service, key string) bool {
	_, err := os.Stat(f.Path(service, key) + markSuffix)
	return safe(service) && safe(key) && err == nil
}

// safe reports whether a name is that of a file in a directory, and of no other.
func safe(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") && len(name) <= 200
}

// wrap describes an error of the file system. What is full, or not permitted, can be
// repaired while the step that needs it is tried again.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, err, "%s", fmt.Sprintf(format, args...)).
		WithHint("the worker needs a directory that it may write and that outlives a reboot: [node] data in mcp.toml")
}
