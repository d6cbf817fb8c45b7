package reach

import "io"

// Unpack writes the entries of an archive.
func Unpack(archive io.Reader, to string) (files int, bytes int64, err error) {
	done, err := unpack(archive, to)
	return done.Files, done.Bytes, err
}

// Pack writes an archive of a path.
func Pack(from, name string, input io.Reader, to io.Writer) error {
	s, err := newSource(from, name, input)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = s.pack(to)
	return err
}

// Show writes the only file of an archive.
func Show(archive io.Reader, to io.Writer) error {
	_, err := showFile(archive, to)
	return err
}

// ParsePair parses a pair of ports.
func ParsePair(text string) (local, port int, err error) {
	p, err := parsePair(text)
	return p.local, p.port, err
}

// ContainerPath parses a path in a container.
func ContainerPath(text string) (target, path string, ok bool) {
	p, ok := containerPath(text)
	return p.target, p.path, ok
}
