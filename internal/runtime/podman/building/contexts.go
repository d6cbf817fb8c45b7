package building

import (
	"archive/tar"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// AddContexts adds the parameter for named contexts, as podman of that version, "podman
// 5.6.1", reads it. Images holds the image of each context by the context's name.
func AddContexts(query url.Values, version string, images map[string]string) {
	query["additionalbuildcontexts"] = contextParameters(version, images)
}

// contextParameters returns the values of the parameter for named contexts, as podman of
// that version reads them.
func contextParameters(version string, images map[string]string) []string {
	if atLeast(version, 5, 6) {
		var values []string
		for _, name := range slices.Sorted(maps.Keys(images)) {
			values = append(values, name+"=image:"+images[name])
		}
		return values
	}
	type additional struct {
		IsImage bool
		Value   string
	}
	all := map[string]additional{}
	for name, image := range images {
		all[name] = additional{true, image}
	}
	return []string{encoded(all)}
}

// contextFile is the Containerfile beside the directory of the files.
const contextFile = "Containerfile"

// ContextQuery returns the parameters of the build that makes an image of a named context.
func ContextQuery(image string, platforms []string) url.Values {
	return queryOf(runtime.BuildSpec{Tag: image, Platforms: platforms}, contextFile, marks.NewBuild())
}

// ContextTar returns the archive for that build: the files of a directory, and a
// Containerfile that copies them. It is written while it is read, and reading it fails if
// a file cannot be read. The caller closes it.
func ContextTar(c runtime.BuildContext) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		_ = writer.CloseWithError(writeContext(writer, c))
	}()
	return reader
}

func writeContext(to io.Writer, c runtime.BuildContext) error {
	dir, err := canonicalPath(c.Dir)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(to)
	text := []byte("FROM scratch\nCOPY context/ /\n")
	if err := archive.WriteHeader(&tar.Header{Name: contextFile, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: "context/", Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+string(filepath.Separator))
		if c.Only != nil && !c.Only(name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return add(archive, path, "context/"+name, info, nil)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}
