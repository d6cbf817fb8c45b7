package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// logLines is how many lines of a failed build's output its error carries.
const logLines = 20

// Build makes an image from a Containerfile and tags it. Steps are cached.
// When the context ends, the step that is under way is killed, and podman ends
// the build.
func (e *Engine) Build(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	if err := wantSources(spec); err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		id, err := e.buildOnce(ctx, spec)
		if err == nil || try == buildTries || ctx.Err() != nil || !isPodmansOwn(err) {
			return id, err
		}
	}
}

// buildTries bounds how often a build is made because of podman's own troubles.
const buildTries = 3

// isPodmansOwn reports whether a build failed by what went on in podman beside it.
func isPodmansOwn(err error) bool {
	return strings.HasSuffix(err.Error(), helperKilled) || isOvertaken(err.Error())
}

// helperKilled ends podman's error where the helper was killed that ran a step,
// and not what the step ran. Podman has the kernel kill it when the thread ends
// that started it, and Go ends threads when containers' networks are set up
// meanwhile.
const helperKilled = "while running runtime: signal: killed"

// isOvertaken reports whether podman's error says that an image was removed while
// the build looked through all of them for a step that was done before, or took
// it for one.
func isOvertaken(text string) bool {
	return strings.HasSuffix(text, "layer not known") || strings.Contains(text, "preparing container for next step: ")
}

func (e *Engine) buildOnce(ctx context.Context, spec runtime.BuildSpec) (string, error) {
	sources, err := openContext(spec)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "build %s", spec.Tag)
	}
	logins, err := e.logins(buildLogins)
	if err != nil {
		return "", e.translateRegistry(ctx, err, "build", spec.Tag)
	}
	attached, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	output := &buildOutput{out: spec.Out, last: tail{keep: logLines}}
	mark := newBuildMark()
	done := mark.watch(ctx, output.running.Load, hangUp)
	tar := sources.tar()
	r := post("/build").with(buildQuery(spec.Tag, sources.containerfile, mark)).sending(tar)
	r.header = logins
	id, err := e.followBuild(attached, r, output)
	done()
	if unread := tar.end(); unread != nil && ctx.Err() == nil {
		return "", fault.Wrap(fault.Invalid, unread, "build %s: read the build context %s", spec.Tag, spec.Context)
	}
	if err != nil || ctx.Err() != nil {
		return "", e.buildError(ctx, err, spec, output)
	}
	return id, nil
}

// buildQuery is what is asked of podman's build beside its sources.
func buildQuery(tag, containerfile string, mark buildMark) url.Values {
	files, _ := json.Marshal([]string{containerfile}) // strings always can be
	hosts, _ := json.Marshal([]string{mark.host()})
	return url.Values{
		"t": {tag}, "output": {tag}, "dockerfile": {string(files)},
		"outputformat": {"application/vnd.oci.image.manifest.v1+json"},
		"layers":       {"1"}, // cache the steps
		"rm":           {"1"},
		"forcerm":      {"1"}, // else a failed build leaves its working container
		"httpproxy":    {"1"}, // as podman build does
		"pullpolicy":   {"missing"},
		"isolation":    {"0"}, // podman's default
		"retry":        {"0"}, // the caller's affair
		"retry-delay":  {"0s"},
		"extrahosts":   {string(hosts)},

		"inheritannotations": {"1"},
	}
}

// imageID is how podman's output ends where a build has made an image.
var imageID = regexp.MustCompile(`^[0-9a-f]{12}`)

// followBuild writes a build's output and returns the id of the image.
func (e *Engine) followBuild(ctx context.Context, r request, output *buildOutput) (string, error) {
	var id string
	out := output.writer()
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
