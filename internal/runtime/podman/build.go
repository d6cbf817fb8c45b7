package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// logLines is the number of lines of a failed build's output that its error
// holds.
const logLines = 20

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

// imageID matches the last report of a build that succeeded.
var imageID = regexp.MustCompile(`^[0-9a-f]{12}`)

// followBuild runs a build, writes its output and returns the id of the image.
func (e *Engine) followBuild(ctx context.Context, r request, output *buildOutput) (string, error) {
	var id string
	out := output.writer()
	defer out.end()
	err := e.follow(ctx, r, func(text string) {
		_, _ = io.WriteString(out, text)
		if imageID.MatchString(text) {
			id = strings.TrimSuffix(text, "\n")
		}
	})
	if err == nil && id == "" {
		err = fmt.Errorf("podman ended the build without an image: %w", io.ErrUnexpectedEOF)
	}
	return id, err
}

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
