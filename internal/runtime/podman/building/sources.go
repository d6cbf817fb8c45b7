package building

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/storage/pkg/fileutils"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// Check checks that the build context and the Containerfile exist. An error has the kind
// Invalid.
func Check(spec runtime.BuildSpec) error {
	info, err := os.Stat(spec.Context)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "build %s: build context %s", spec.Tag, spec.Context)
	}
	info, err = os.Stat(spec.Containerfile)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "build %s: Containerfile %s", spec.Tag, spec.Containerfile)
	}
	return nil
}

// Sources are the files of a build, as podman's own client sends them.
type Sources struct {
	spec runtime.BuildSpec
	mark marks.Build
	dir  string
	// containerfile is relative to dir, or absolute if it is outside dir.
	containerfile string
	ignored       *fileutils.PatternMatcher
}

// Open finds a build's sources and reads its ignore file. The mark names the files of the
// build's secrets, and identifies its steps.
func Open(spec runtime.BuildSpec, mark marks.Build) (*Sources, error) {
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
	return &Sources{spec: spec, mark: mark, dir: dir, containerfile: file, ignored: ignored}, nil
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

// Query returns the parameters of the build, beside those of named contexts and of caches.
func (s *Sources) Query() url.Values { return queryOf(s.spec, s.containerfile, s.mark) }
