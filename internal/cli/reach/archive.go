package reach

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// entries reads an archive, and finds out whether it has an end.
type entries struct {
	*tar.Reader
	count *counter
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func newEntries(archive io.Reader) *entries {
	count := &counter{Reader: archive}
	return &entries{tar.NewReader(count), count}
}

// trailer is how many bytes an archive has after its last entry.
const trailer = 1024

// next returns the next entry, and io.EOF after the last. An archive without an end is an
// error: podman reports nothing else when it cannot read a file to its end.
func (e *entries) next() (*tar.Header, error) {
	if _, err := io.Copy(io.Discard, e.Reader); err != nil {
		return nil, err
	}
	before := e.count.n
	h, err := e.Next()
	if errors.Is(err, io.EOF) && e.count.n-before < trailer {
		return nil, fault.New(fault.Unavailable, "what the node has sent of the files has no end: podman could not read them all")
	}
	return h, err
}

// end reads what is left, which must be nothing but the end.
func (e *entries) end() error {
	_, err := e.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return fault.New(fault.Invalid, "the node has sent more than the file")
	}
	return err
}

// unpack writes the entries of an archive: into to, if that is a directory, else with to
// as the name of what is at their top. Nothing is written outside of it.
func unpack(archive io.Reader, to string) (done copied, err error) {
	dir, name := filepath.Split(filepath.Clean(to))
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		dir, name = to, ""
	} else if strings.HasSuffix(to, string(filepath.Separator)) {
		return done, fault.New(fault.NotFound, "there is no directory %s", to)
	}
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return done, fault.Wrap(fault.Invalid, err, "write to %s", to)
	}
	defer func() { _ = root.Close() }()
	list := newEntries(archive)
	for {
		h, err := list.next()
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		place := cleanName(h.Name)
		if name != "" {
			_, rest, _ := strings.Cut(place, string(filepath.Separator))
			place = filepath.Join(name, rest)
		}
		if err := write(root, h, place, list, &done); err != nil {
			var f *fault.Error
			if errors.As(err, &f) {
				return done, err
			}
			return done, fault.Wrap(fault.Invalid, err, "write %s", filepath.Join(dir, place))
		}
	}
}

// write writes one entry.
func write(root *os.Root, h *tar.Header, place string, from io.Reader, done *copied) error {
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(place, mode|0o700); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Symlink(h.Linkname, place)
	case tar.TypeReg:
		n, err := writeFile(root, place, mode, from)
		if err != nil {
			return err
		}
		done.Files, done.Bytes = done.Files+1, done.Bytes+n
	case tar.TypeLink:
		// The content of a file that has two names comes with the first alone.
		if err := root.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, rest, _ := strings.Cut(cleanName(h.Linkname), string(filepath.Separator))
		top, _, _ := strings.Cut(place, string(filepath.Separator))
		return root.Link(filepath.Join(top, rest), place)
	default:
		return fault.New(fault.Invalid, "%s is neither a file, a directory nor a link: it cannot be copied", h.Name)
	}
	return nil
}

// writeFile writes a file beside its place, and moves it there when it is whole.
func writeFile(root *os.Root, place string, mode fs.FileMode, from io.Reader) (n int64, err error) {
	if info, err := root.Stat(place); err == nil && !info.Mode().IsRegular() {
		return 0, fault.New(fault.Invalid, "%s exists, and is no file", place)
	}
	part := place + ".mcp-part"
	file, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(file, from)
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err == nil {
		err = root.Rename(part, place)
	}
	if err != nil {
		return n, errors.Join(err, root.Remove(part))
	}
	return n, nil
}

// source is what is copied into a container.
type source struct {
	name string // at the top of the archive
	path string // "" for input
	file *os.File
	// failed is why it could not be read.
	failed error
}

// newSource checks what is copied; input, for "-", has to be spooled first, because an
// archive says how long a file is.
func newSource(from, name string, input io.Reader) (*source, error) {
	if from == "-" {
		if input == nil {
			return nil, fault.New(fault.Invalid, "there is no standard input")
		}
		file, err := os.CreateTemp("", "mcp-cp-*")
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "keep standard input")
		}
		_ = os.Remove(file.Name())
		_, err = io.Copy(file, input)
		if err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
		if err != nil {
			_ = file.Close()
			return nil, fault.Wrap(fault.Internal, err, "keep standard input")
		}
		return &source{name: name, file: file}, nil
	}
	whole, err := filepath.Abs(from)
	if err == nil {
		_, err = os.Stat(whole)
	}
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "read %s", from)
	}
	return &source{name: filepath.Base(whole), path: whole}, nil
}

func (s *source) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

// pack writes the archive.
func (s *source) pack(to io.Writer) (done copied, err error) {
	archive := tar.NewWriter(to)
	if s.file != nil {
		err = s.add(archive, s.file, s.name, &done)
	} else {
		err = filepath.WalkDir(s.path, func(place string, entry fs.DirEntry, err error) error {
			if err != nil {
				s.failed = fault.Wrap(fault.Invalid, err, "read %s", place)
				return s.failed
			}
			rest, err := filepath.Rel(s.path, place)
			if err != nil {
				return err
			}
			return s.entry(archive, place, path.Join(s.name, filepath.ToSlash(rest)), entry, &done)
		})
	}
	if err == nil {
		err = archive.Close()
	}
	return done, err
}

// entry adds one file, directory or link. A link that is named on the command line is
// followed.
func (s *source) entry(archive *tar.Writer, place, name string, entry fs.DirEntry, done *copied) error {
	info, err := entry.Info()
	if err == nil && place == s.path {
		info, err = os.Stat(place)
	}
	if err != nil {
		s.failed = fault.Wrap(fault.Invalid, err, "read %s", place)
		return s.failed
	}
	if info.Mode().IsRegular() {
		file, err := os.Open(place)
		if err != nil {
			s.failed = fault.Wrap(fault.Invalid, err, "read %s", place)
			return s.failed
		}
		defer file.Close()
		return s.add(archive, file, name, done)
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(place); err != nil {
			s.failed = fault.Wrap(fault.Invalid, err, "read %s", place)
			return s.failed
		}
	}
	if link == "" && !info.IsDir() {
		s.failed = fault.New(fault.Invalid, "%s is neither a file, a directory nor a link: it cannot be copied", place)
		return s.failed
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = name
	return archive.WriteHeader(h)
}

// add adds a file. One that changes its length meanwhile is an error.
func (s *source) add(archive *tar.Writer, file *os.File, name string, done *copied) error {
	info, err := file.Stat()
	if err != nil {
		s.failed = fault.Wrap(fault.Invalid, err, "read %s", name)
		return s.failed
	}
	h, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	h.Name = name
	if s.file != nil {
		h.Mode = 0o644
	}
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(archive, io.LimitReader(file, h.Size))
	if err == nil && n < h.Size {
		s.failed = fault.New(fault.Invalid, "%s has become shorter while it was read", name)
		return s.failed
	}
	done.Files, done.Bytes = done.Files+1, done.Bytes+n
	return err
}

// copied is what mcp cp --json prints.
type copied struct {
	// Files are the files that were copied, without directories, and Bytes their sizes.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// cleanName returns the name of an entry of an archive as a path below its top.
func cleanName(name string) string {
	return filepath.Clean(filepath.FromSlash(strings.TrimLeft(path.Clean("/"+name), "/")))
}
