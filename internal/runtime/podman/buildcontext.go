package podman

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.podman.io/storage/pkg/fileutils"

	"github.com/metacircular/mcp/internal/runtime"
)

// buildContext is the files of a build, as podman's own client sends them.
type buildContext struct {
	dir string
	// containerfile is relative to dir, or absolute if it is outside dir.
	containerfile string
	ignored       *fileutils.PatternMatcher
	only          func(path string) bool // nil for all files
	extra         []extraFile
}

// extraFile is a file that podman needs beside those of the directory.
type extraFile struct {
	name string
	text []byte
}

// openContext finds a build's sources and reads its ignore file.
func openContext(spec runtime.BuildSpec) (*buildContext, error) {
	dir, err := canonicalPath(spec.Context)
	if err != nil {
		return nil, err
	}
	in, err := canonicalPath(filepath.Dir(spec.Containerfile))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(in, filepath.Base(spec.Containerfile))
	if inside, ok := strings.CutPrefix(file, dir+string(filepath.Separator)); ok {
		file = inside
	}
	patterns, err := ignorePatterns(dir, file)
	if err != nil {
		return nil, err
	}
	// Podman itself needs these files, whether a pattern matches them or not. It
	// applies the ignore file again, so that they do not enter the image.
	needed := []string{"Dockerfile", "Containerfile", ".dockerignore", ".containerignore", file, file + ".dockerignore", file + ".containerignore"}
	if target, err := canonicalPath(filepath.Join(in, filepath.Base(spec.Containerfile))); err == nil {
		if inside, ok := strings.CutPrefix(target, dir+string(filepath.Separator)); ok {
			needed = append(needed, inside) // of a symbolic link
		}
	}
	for _, name := range needed {
		patterns = append(patterns, "!"+name)
	}
	ignored, err := fileutils.NewPatternMatcher(patterns)
	if err != nil {
		return nil, fmt.Errorf("parse the build context's ignore file: %w", err)
	}
	return &buildContext{dir: dir, containerfile: file, ignored: ignored, only: spec.Only}, nil
}

func canonicalPath(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// ignorePatterns reads the context's ignore file, the first that exists: that of
// the Containerfile, under the name that the caller gave it, precedes those of the
// context, because podman's service applies it again. A link out of the context is
// an error: to ignore it would send files that were meant to be excluded.
func ignorePatterns(dir, containerfile string) ([]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	names := []string{".containerignore", ".dockerignore"}
	if !filepath.IsAbs(containerfile) {
		names = append([]string{containerfile + ".containerignore", containerfile + ".dockerignore"}, names...)
	}
	for _, name := range names {
		text, err := root.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var patterns []string
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
				patterns = append(patterns, line)
			}
		}
		return patterns, nil
	}
	return nil, nil
}

// contextTar is a build context as an archive. It is written while it is read,
// and uncompressed, because podman runs on this host.
type contextTar struct {
	*io.PipeReader
	made chan error
}

func (c *buildContext) tar() *contextTar {
	reader, writer := io.Pipe()
	t := &contextTar{PipeReader: reader, made: make(chan error, 1)}
	go func() {
		err := c.write(tar.NewWriter(writer))
		_ = writer.CloseWithError(err)
		t.made <- err
	}()
	return t
}

// end closes the archive and returns the error with which writing it failed.
// That podman did not read all of it is not an error.
func (t *contextTar) end() error {
	_ = t.Close()
	if err := <-t.made; !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

func (c *buildContext) write(archive *tar.Writer) error {
	for _, file := range c.extra {
		header := &tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.text)), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(file.text); err != nil {
			return err
		}
	}
	links := map[inode]string{}
	err := filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == c.dir {
			return err
		}
		name := strings.TrimPrefix(path, c.dir+string(filepath.Separator))
		// A later pattern may include a file of a directory that is ignored.
		ignored, err := c.ignored.MatchesResult(name)
		if err != nil || ignored.IsMatched() || c.only != nil && !c.only(name) {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return add(archive, path, name, info, links)
	})
	if err == nil && filepath.IsAbs(c.containerfile) {
		err = c.addContainerfile(archive)
	}
	if err != nil {
		return err
	}
	return archive.Close()
}

// addContainerfile adds a Containerfile from outside the context, under its
// absolute path.
func (c *buildContext) addContainerfile(archive *tar.Writer) error {
	info, err := os.Stat(c.containerfile)
	if err != nil {
		return err
	}
	return add(archive, c.containerfile, c.containerfile, info, nil)
}

// inode identifies a file that has several names.
type inode struct{ device, number uint64 }

// add adds a file, a directory or a symbolic link, owned by root, and skips
// everything else, which an image cannot contain. Links holds the first name of
// each file that has several.
func add(archive *tar.Writer, path, name string, info fs.FileInfo, links map[inode]string) error {
	var target string
	var err error
	switch info.Mode().Type() {
	case 0, fs.ModeDir:
	case fs.ModeSymlink:
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	default:
		return nil
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name = name
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	if !info.Mode().IsRegular() {
		return archive.WriteHeader(header)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 && links != nil {
		file := inode{stat.Dev, stat.Ino}
		if first, found := links[file]; found {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
			return archive.WriteHeader(header)
		}
		links[file] = name
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	return copyFile(archive, path)
}

func copyFile(to io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(to, file); err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	return nil
}
