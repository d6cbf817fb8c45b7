package podman

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// addContexts prepares the named contexts of a build, and adds the parameters for them. A directory becomes an image, because no version of the API before 5.6
// takes a second one, and a path would be sent with the files that are not part of the
// build. The caller calls remove after the build.
func (e *Engine) addContexts(ctx context.Context, spec runtime.BuildSpec, mark buildMark, query url.Values) (remove func(), err error) {
	var made []string
	remove = func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		for _, image := range made {
			_ = e.RemoveImage(last, image) // it is a copy of sources, and a later prune removes it
		}
	}
	if len(spec.Contexts) == 0 {
		return remove, nil
	}
	images := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(spec.Contexts)) {
		c := spec.Contexts[name]
		if images[name] = c.Image; c.Image != "" {
			continue
		}
		image := "localhost/" + string(mark) + ":" + name
		made = append(made, image)
		if err := e.makeContext(ctx, spec, c, image); err != nil {
			f := *fault.Of(err)
			f.Message = fmt.Sprintf("build %s: prepare the context %s: %s", spec.Tag, name, f.Message)
			return remove, &f
		}
		images[name] = image
	}
	version, err := e.Version(ctx)
	if err != nil {
		return remove, err
	}
	query["additionalbuildcontexts"] = contextParameters(version, images)
	return remove, nil
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

// makeContext makes an image of a directory.
func (e *Engine) makeContext(ctx context.Context, spec runtime.BuildSpec, c runtime.BuildContext, image string) error {
	reader, writer := io.Pipe()
	go func() {
		_ = writer.CloseWithError(writeContext(writer, c))
	}()
	defer func() { _ = reader.Close() }()
	query := buildQuery(runtime.BuildSpec{Tag: image, Platforms: spec.Platforms}, contextFile, newBuildMark())
	output := &buildOutput{last: tail{keep: logLines}}
	_, err := e.followBuild(ctx, post("/build").with(query).sending(reader), output)
	if err != nil || ctx.Err() != nil {
		return e.buildError(ctx, err, runtime.BuildSpec{Tag: image}, output)
	}
	return nil
}

// contextFile is the Containerfile beside the directory of the files.
const contextFile = "Containerfile"

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
