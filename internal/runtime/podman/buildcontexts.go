package podman

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/building"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// addContexts prepares the named contexts of a build, and adds the parameters for them. A
// directory becomes an image, because no version of the API before 5.6 takes a second one,
// and a path would be sent with the files that are not part of the build. The caller calls
// remove after the build.
func (e *Engine) addContexts(ctx context.Context, spec runtime.BuildSpec, mark marks.Build, query url.Values) (remove func(), err error) {
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
		image := mark.Image(name)
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
	building.AddContexts(query, version, images)
	return remove, nil
}

// makeContext makes an image of a directory.
func (e *Engine) makeContext(ctx context.Context, spec runtime.BuildSpec, c runtime.BuildContext, image string) error {
	archive := building.ContextTar(c)
	defer func() { _ = archive.Close() }()
	query := building.ContextQuery(image, spec.Platforms)
	output := building.NewOutput(nil, nil)
	_, err := e.followBuild(ctx, post("/build").with(query).sending(archive), output)
	if err != nil || ctx.Err() != nil {
		return e.buildError(ctx, err, runtime.BuildSpec{Tag: image}, output)
	}
	return nil
}
