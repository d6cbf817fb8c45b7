package building

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
)

// Tar is a build context as an archive. It is written while it is read,
// and uncompressed, because podman runs on this host.
type Tar struct {
	*io.PipeReader
	made chan error
}

// Tar begins the archive of the sources. The caller calls End.
func (s *Sources) Tar() *Tar {
	reader, writer := io.Pipe()
	t := &Tar{PipeReader: reader, made: make(chan error, 1)}
	go func() {
		err := s.write(tar.NewWriter(writer))
		_ = writer.CloseWithError(err)
		t.made <- err
	}()
	return t
}

// End closes the archive and returns the error with which writing it failed.
// That podman did not read all of it is not an error.
func (t *Tar) End() error {
	_ = t.Close()
	if err := <-t.made; !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

func (s *Sources) write(archive *tar.Writer) error {
	for id, text := range s.spec.Secrets {
		header := &tar.Header{Name: s.mark.Secret(id), Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	links := map[inode]string{}
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == s.dir {
			return err
		}
		name := strings.TrimPrefix(path, s.dir+string(filepath.Separator))
		// A later pattern may include a file of a directory that is ignored.
		ignored, err := s.ignored.MatchesResult(name)
		if err != nil || ignored.IsMatched() || s.spec.Only != nil && !s.spec.Only(name) {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return add(archive, path, name, info, links)
	})
	if err == nil && filepath.IsAbs(s.containerfile) {
		err = s.addContainerfile(archive)
	}
	if err != nil {
		return err
	}
	return archive.Close()
}

// addContainerfile adds a Containerfile from outside the context, under its
// absolute path.
func (s *Sources) addContainerfile(archive *tar.Writer) error {
	info, err := os.Stat(s.containerfile)
	if err != nil {
		return err
	}
	return add(archive, s.containerfile, s.containerfile, info, nil)
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
