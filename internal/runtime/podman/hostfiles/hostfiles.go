// Package hostfiles keeps the files that containers mount read-only in a directory of
// the host, each under a hash of its content, mode and owner. Two containers with the
// same file share it, and a file never changes.
//
// The directory belongs to the process and is closed to others, so that no one can plant
// a link in it. Package podman imports it.
package hostfiles

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/metacircular/mcp/servicedef"
)

// Dir is the directory.
type Dir string

// partial begins the names of files that are being written.
const partial = ".new-"

// Name returns the name under which a file is kept.
func Name(f servicedef.File) (string, error) {
	data, err := f.Data()
	if err != nil {
		return "", fmt.Errorf("file %s: %w", f.Target, err)
	}
	whole := sha256.New()
	_, _ = fmt.Fprintf(whole, "%o %d %d %d\n", servicedef.FileMode(f.Mode), f.UID, f.GID, len(data))
	_, _ = whole.Write(data)
	return hex.EncodeToString(whole.Sum(nil)[:16]), nil
}

// Place makes the file and returns its path. A file that is there and as it must be is
// left alone. It may be called twice, or concurrently.
func (d Dir) Place(f servicedef.File) (string, error) {
	name, err := Name(f)
	if err != nil {
		return "", err
	}
	if err := d.open(); err != nil {
		return "", err
	}
	path := filepath.Join(string(d), name)
	data, err := f.Data()
	if err != nil || same(path, f, data) {
		return path, err
	}
	return path, d.write(path, f, data)
}

// open makes the directory, and refuses one that others may write to.
func (d Dir) open() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(string(d))
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", d)
	case known && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to the user %d", d, owner.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by others: its mode is %04o", d, info.Mode().Perm())
	}
	return nil
}

// same reports whether a file is there and as it must be.
func same(path string, f servicedef.File, data []byte) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(data)) ||
		info.Mode().Perm() != fs.FileMode(servicedef.FileMode(f.Mode)) {
		return false
	}
	if owner, known := info.Sys().(*syscall.Stat_t); known && os.Geteuid() == 0 &&
		(int(owner.Uid) != f.UID || int(owner.Gid) != f.GID) {
		return false
	}
	has, err := os.ReadFile(path)
	return err == nil && bytes.Equal(has, data)
}

// write writes the file under another name and gives it its own when it is complete.
func (d Dir) write(path string, f servicedef.File, data []byte) (err error) {
	file, err := os.CreateTemp(string(d), partial)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err == nil && (os.Geteuid() == 0 || f.UID != 0 || f.GID != 0) {
		err = file.Chown(f.UID, f.GID)
	}
	if err == nil { // after the owner, whose change may clear bits
		err = file.Chmod(fs.FileMode(servicedef.FileMode(f.Mode)))
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Sweep removes every file but those whose names are used. No Place may be under way,
// nor its file wait for the container that mounts it.
func (d Dir) Sweep(used map[string]bool) error {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var problems []error
	for _, entry := range entries {
		if ours := len(entry.Name()) == 32 || strings.HasPrefix(entry.Name(), partial); ours && !used[entry.Name()] {
			problems = append(problems, os.Remove(filepath.Join(string(d), entry.Name())))
		}
	}
	return errors.Join(append(problems, err)...)
}
