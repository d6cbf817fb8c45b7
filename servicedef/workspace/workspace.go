// Package workspace reads the files of a workspace that a definition names, and nothing
// outside it.
//
// Its errors complete a sentence whose subject is the file: "does not exist" after its path,
// or "cannot be read: permission denied".
package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/metacircular/mcp/servicedef/envfile"
)

// MaxFile bounds one file, and a file of variables, in bytes. Larger ones belong in an image.
const MaxFile = 256 << 10

// Dir is a directory of a workspace.
type Dir struct {
	root *os.Root
	read map[string][]byte
}

// Open opens a directory, which must be in the workspace: path is relative to that, and ""
// is the workspace itself.
func Open(workspace, path string) (*Dir, error) {
	if workspace == "" {
		return nil, errors.New("is among the sources, which mcp.toml does not name: set workspace, or sources, in [build]")
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, fmt.Errorf("is in the workspace, which cannot be opened: %w", plain(err))
	}
	if path == "" || path == "." {
		return &Dir{root: root, read: map[string][]byte{}}, nil
	}
	defer func() { _ = root.Close() }()
	dir, err := root.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("is in %s of the workspace %s, which cannot be opened: %w", path, workspace, plain(err))
	}
	return &Dir{root: dir, read: map[string][]byte{}}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }

// File reads a file, once. A path that leaves the directory, even through a symbolic link, is
// an error, as is anything that is not a regular file or is larger than MaxFile.
func (d *Dir) File(name string) ([]byte, error) {
	if data, done := d.read[name]; done {
		return data, nil
	}
	info, err := d.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist", d.path(name))
	case err != nil && strings.Contains(err.Error(), "escapes"):
		return nil, fmt.Errorf("%q leads out of %s, as a symbolic link does: only files of the workspace are read", name, d.root.Name())
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", plain(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", d.path(name))
	case info.Size() > MaxFile:
		return nil, fmt.Errorf("%s has %d KiB; the limit is %d KiB: put it into an image or a volume", d.path(name), info.Size()>>10, MaxFile>>10)
	}
	file, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", plain(err))
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", plain(err))
	case len(data) > MaxFile:
		return nil, fmt.Errorf("%s grows while it is read, beyond the limit of %d KiB", d.path(name), MaxFile>>10)
	}
	d.read[name] = data
	return data, nil
}

// Env reads a file of variables, as File does.
func (d *Dir) Env(name string) (map[string]string, error) {
	data, err := d.File(name)
	if err != nil {
		return nil, err
	}
	env, err := envfile.Parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(name), err)
	}
	return env, nil
}

// path is what errors call a file of the directory.
func (d *Dir) path(name string) string { return filepath.Join(d.root.Name(), name) }

// plain returns the cause of an error of the file system, without its path.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
