package podman

import (
	"context"
	"errors"
	"os"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Build builds an image from a Containerfile and tags it. Steps are cached.
// When the context ends, the running step is killed, and podman ends the build.
func (e *Engine) Build(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	if err := checkSources(spec); err != nil {
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

// checkSources checks that the build context and the Containerfile exist.
func checkSources(spec runtime.BuildSpec) error {
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

// buildEach builds for each platform, with a request for each: one for all platforms would
// look for the named contexts among the images of the builder's own.
func (e *Engine) buildEach(ctx context.Context, spec runtime.BuildSpec) (id string, err error) {
	if len(spec.Platforms) <= 1 {
		return e.buildOnce(ctx, spec)
	}
	for _, platform := range spec.Platforms {
		one := spec
		one.Platforms, one.Tag = []string{platform}, platformTag(spec.Tag, platform)
		if id, err = e.buildOnce(ctx, one); err != nil {
			return "", err
		}
	}
	return id, nil
}

// buildOnce builds for at most one platform.
func (e *Engine) buildOnce(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	sources, err := openContext(spec)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "build %s", spec.Tag)
	}
	header, err := logins(e.authFile, buildLogins)
	if err != nil {
		return "", e.translateRegistry(ctx, err, "build", spec.Tag)
	}
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	output := &buildOutput{out: spec.Out, last: tail{keep: logLines}, masks: masksOf(spec.Secrets)}
	mark := newBuildMark()
	query := buildQuery(spec, sources.containerfile, mark)
	remove, err := e.addContexts(ctx, spec, mark, query)
	defer remove()
	if err == nil {
		err = e.addCaches(ctx, spec, query)
	}
	if err != nil {
		return "", err
	}
	done := mark.watch(ctx, output.running.Load, disconnect)
	for id, text := range spec.Secrets {
		sources.extra = append(sources.extra, extraFile{mark.secret(id), text})
	}
	tar := sources.tar()
	r := post("/build").with(query).sending(tar)
	r.header = header
	id, err := e.followBuild(connected, r, output)
	done()
	if errors.As(err, new(unanswered)) {
		mark.kill() // or it would run on unseen
	}
	if unread := tar.end(); unread != nil && ctx.Err() == nil {
		return "", fault.Wrap(fault.Invalid, unread, "build %s: read the build context %s", spec.Tag, spec.Context)
	}
	if err != nil || ctx.Err() != nil {
		return "", e.buildError(ctx, err, spec, output)
	}
	return id, nil
}
