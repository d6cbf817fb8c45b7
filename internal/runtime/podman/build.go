package podman

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/containers/buildah/define"
	"github.com/containers/podman/v5/pkg/bindings/images"
	"go.podman.io/image/v5/types"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// logLines is how many lines of a failed build's output its error carries.
const logLines = 20

// Build makes an image from a Containerfile and tags it. Steps are cached.
// When the context ends, the step that is under way is killed, and podman ends
// the build.
func (e *Engine) Build(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	// The bindings' own answer to a missing directory is "read/write on
	// closed pipe".
	if err := wantSources(spec); err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		id, err := e.buildOnce(ctx, spec)
		if err == nil || try == buildTries || ctx.Err() != nil || !strings.HasSuffix(err.Error(), helperKilled) {
			return id, err
		}
	}
}

// buildTries bounds how often a build is made because podman has killed the
// helper that ran a step of it.
const buildTries = 3

// helperKilled ends podman's error where that helper was killed, and not what
// the step ran. Podman has the kernel kill it when the thread ends that started
// it, and Go ends threads when containers' networks are set up meanwhile.
const helperKilled = "while running runtime: signal: killed"

func (e *Engine) buildOnce(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	call, err := e.call(ctx)
	if err != nil {
		return "", e.translate(ctx, err, "build %s", spec.Tag)
	}
	attached, hangUp := context.WithCancel(context.WithoutCancel(call))
	defer hangUp()
	output := &buildOutput{out: spec.Out, last: tail{keep: logLines}}
	mark := newBuildMark()
	done := mark.watch(ctx, output.running.Load, hangUp)
	report, err := images.Build(attached, []string{spec.Containerfile}, images.BuildOptions{BuildOptions: define.BuildOptions{
		Output:                  spec.Tag,
		ContextDirectory:        spec.Context,
		OutputFormat:            define.OCIv1ImageManifest,
		Layers:                  true,
		RemoveIntermediateCtrs:  true,
		ForceRmIntermediateCtrs: true, // else a failed build leaves its working container
		Out:                     output.writer(),
		SystemContext:           &types.SystemContext{AuthFilePath: e.authFile},
		CommonBuildOpts: &define.CommonBuildOptions{
			HTTPProxy: true, // as podman build does
			AddHost:   []string{mark.host()},
		},
	}})
	done()
	// A build that was cancelled may well return no error, and no id.
	if err == nil && (report == nil || report.ID == "") {
		err = errors.New("podman ended the build without an image")
	}
	if err != nil || ctx.Err() != nil {
		return "", e.buildError(ctx, err, spec, output)
	}
	return report.ID, nil
}

// wantSources checks that the context and the Containerfile are there.
func wantSources(spec runtime.BuildSpec) error {
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
