package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// BuildInput is an image to build. Path and Containerfile are relative, because the
// workspace is the builder's.
type BuildInput struct {
	Service string `json:"service"`
	// Image is the reference that the result gets.
	Image string `json:"image"`
	// Path is the source directory, relative to the workspace, and
	// Containerfile the file in it.
	Path          string `json:"path"`
	Containerfile string `json:"containerfile"`
}

// BuildResult is the image that was built.
type BuildResult struct {
	ImageID string `json:"image_id"`
	// LogFile holds the whole output, on the builder.
	LogFile string `json:"log_file"`
	Builder string `json:"builder"`
}

// Build builds an image from the builder's workspace. A source that does not
// build is Invalid and not retried.
func (a *Builder) Build(ctx context.Context, in BuildInput) (BuildResult, error) {
	return reporting(ctx, func(ctx context.Context, r *reporter) (BuildResult, error) {
		return a.build(ctx, r, in)
	})
}

func (a *Builder) build(ctx context.Context, r *reporter, in BuildInput) (BuildResult, error) {
	source, file, err := a.source(in)
	if err != nil {
		return BuildResult{}, err
	}
	log, err := a.openLog(in)
	if err != nil {
		return BuildResult{}, err
	}
	defer func() { _ = log.Close() }()
	result := BuildResult{LogFile: log.Name(), Builder: a.Name}
	r.set("build", in.Image)
	result.ImageID, err = a.Runtime.Build(ctx, runtime.BuildSpec{
		Tag:           in.Image,
		Context:       source,
		Containerfile: file,
		Out:           io.MultiWriter(log, &stepWriter{report: func(step string) { r.set("build", step) }}),
	})
	if err != nil && ctx.Err() == nil {
		f := *fault.Of(err)
		whole := fmt.Sprintf("read the whole log: %s on builder %s", log.Name(), a.Name)
		f.Hint = strings.TrimPrefix(f.Hint+"; "+whole, "; ")
		return result, &f
	}
	return result, err
}

// source resolves the source directory and the Containerfile. It refuses paths that
// leave the workspace, also through a symbolic link.
func (a *Builder) source(in BuildInput) (dir, file string, err error) {
	root, err := filepath.EvalSymlinks(a.Workspace)
	if err != nil {
		return "", "", fault.Wrap(fault.Invalid, err, "workspace of builder %s", a.Name)
	}
	dir, err = within(root, in.Path)
	if err != nil {
		return "", "", fault.Wrap(fault.Invalid, err, "source directory of service %s", in.Service).
			WithHint("write path relative to the builder's workspace, %s", a.Workspace)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", "", fault.Wrap(fault.Invalid, err, "source directory of service %s", in.Service)
	}
	if file, err = within(dir, in.Containerfile); err != nil {
		return "", "", fault.Wrap(fault.Invalid, err, "Containerfile of %s", in.Image).
			WithHint("correct [build.images] of service %s: its files are relative to %s", in.Service, dir)
	}
	return dir, file, nil
}

// within joins a relative path to a resolved root. What the path resolves to must
// be inside the root. The last element may be a symbolic link and stays one: the
// ignore file of a Containerfile belongs to the name that the definition gives.
func within(root, path string) (string, error) {
	full := filepath.Join(root, path)
	resolved, err := filepath.EvalSymlinks(full)
	if err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(root, resolved); err != nil || !filepath.IsLocal(relative) {
		return "", fmt.Errorf("%s is outside %s", resolved, root)
	}
	return full, nil
}

// openLog creates the file that keeps the whole output of one build.
func (a *Builder) openLog(in BuildInput) (*os.File, error) {
	if err := os.MkdirAll(a.Logs, 0o700); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "create the directory of build logs")
	}
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/:@", r) {
			return '_'
		}
		return r
	}, in.Image)
	if err := pruneLogs(filepath.Join(a.Logs, name+".*.log")); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "prune build logs")
	}
	path := filepath.Join(a.Logs, fmt.Sprintf("%s.%s.log", name, time.Now().UTC().Format("20060102T150405")))
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "open the build log")
	}
	return log, nil
}

// keptLogs is how many build logs of one image are kept.
const keptLogs = 20

// pruneLogs makes room for one more log: their names sort by time.
func pruneLogs(pattern string) error {
	logs, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	slices.Sort(logs)
	for len(logs) >= keptLogs {
		if err := os.Remove(logs[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		logs = logs[1:]
	}
	return nil
}

// stepPattern matches the lines with which buildah announces a step.
var stepPattern = regexp.MustCompile(`STEP \d+/\d+`)

// stepWriter reports each "STEP n/m" at the beginning of a line of a build's
// output.
type stepWriter struct {
	report func(step string)
	line   []byte // its first bytes
}

// stepLength is the length of a line's beginning that holds its step.
const stepLength = 64

func (w *stepWriter) Write(p []byte) (int, error) {
	written := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		w.line = append(w.line, line[:min(len(line), stepLength-len(w.line))]...)
		if !found {
			return written, nil
		}
		if step := stepPattern.Find(w.line); step != nil {
			w.report(string(step))
		}
		w.line, p = w.line[:0], rest
	}
}

// PushInput names a local image.
type PushInput struct {
	Image string `json:"image"`
}

// Push copies the image to its image registry.
func (a *Builder) Push(ctx context.Context, in PushInput) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		r.set("push", in.Image)
		push := runtime.PushSpec{
			Image:    in.Image,
			Insecure: a.Insecure(in.Image),
			Progress: func(line string) { r.set("push", line) },
		}
		return struct{}{}, transfer(ctx, "push", in.Image, "the host of builder "+a.Name, func(ctx context.Context) error {
			return a.Runtime.Push(ctx, push)
		})
	})
	return err
}

// Untag removes the local tag of an image that could not be pushed.
func (a *Builder) Untag(ctx context.Context, in PushInput) error {
	return a.Runtime.RemoveImage(ctx, in.Image)
}
