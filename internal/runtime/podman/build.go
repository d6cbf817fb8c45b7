package podman

import (
	"context"
	"errors"
	"net/url"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/building"
	"github.com/metacircular/mcp/internal/runtime/podman/logins"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// Build builds an image from a Containerfile and tags it. Steps are cached.
// When the context ends, the running step is killed, and podman ends the build.
func (e *Engine) Build(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	if err := building.Check(spec); err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		id, err := e.buildEach(ctx, spec)
		if err == nil || try == buildTries || ctx.Err() != nil || !isTransient(err) {
			return id, err
		}
	}
}

// buildTries bounds the attempts at a build that fails for a transient reason.
const buildTries = 3

// buildEach builds for each platform, with a request for each: one for all platforms would
// look for the named contexts among the images of the builder's own platform.
func (e *Engine) buildEach(ctx context.Context, spec runtime.BuildSpec) (id string, err error) {
	if len(spec.Platforms) <= 1 {
		return e.buildOnce(ctx, spec)
	}
	for _, platform := range spec.Platforms {
		one := spec
		one.Platforms, one.Tag = []string{platform}, building.PlatformTag(spec.Tag, platform)
		if id, err = e.buildOnce(ctx, one); err != nil {
			return "", err
		}
	}
	return id, nil
}

// buildOnce builds for at most one platform.
func (e *Engine) buildOnce(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	mark := marks.NewBuild()
	sources, err := building.Open(spec, mark)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "build %s", spec.Tag)
	}
	header, err := logins.Header(e.authFile, logins.ForBuild)
	if err != nil {
		return "", e.translateRegistry(ctx, err, "build", spec.Tag)
	}
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	output := building.NewOutput(spec.Out, spec.Secrets)
	query := sources.Query()
	remove, err := e.addContexts(ctx, spec, mark, query)
	defer remove()
	if err == nil {
		err = e.addCaches(ctx, spec, query)
	}
	if err != nil {
		return "", err
	}
	done := mark.Watch(ctx, output.Running, disconnect)
	tar := sources.Tar()
	r := post("/build").with(query).sending(tar)
	r.header = header
	id, err := e.followBuild(connected, r, output)
	done()
	if errors.As(err, new(unanswered)) {
		mark.Kill() // or it would run on unseen
	}
	if unread := tar.End(); unread != nil && ctx.Err() == nil {
		return "", fault.Wrap(fault.Invalid, unread, "build %s: read the build context %s", spec.Tag, spec.Context)
	}
	if err != nil || ctx.Err() != nil {
		return "", e.buildError(ctx, err, spec, output)
	}
	return id, nil
}

// addCaches adds the parameters for caches, as podman of the engine's version reads them.
func (e *Engine) addCaches(ctx context.Context, spec runtime.BuildSpec, query url.Values) error {
	if len(spec.CacheFrom)+len(spec.CacheTo) == 0 {
		return nil
	}
	version, err := e.Version(ctx)
	if err != nil {
		return err
	}
	return building.AddCaches(query, spec, version)
}
