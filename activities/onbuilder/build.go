package onbuilder

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// BuildInput is an image to build. Its paths are relative, because the workspace is the
// builder's.
type BuildInput struct {
	Service string `json:"service"`
	// Image is the reference that the result gets.
	Image string `json:"image"`
	// Path is the service's source directory, relative to the workspace, and Build how the
	// image is built.
	Path  string                `json:"path"`
	Build servicedef.ImageBuild `json:"build"`
	// Source is the origin of the tag that git gave the image: the sources here must have its
	// hash. Nil if the definition sets the tag.
	Source *servicedef.Source `json:"source,omitempty"`
	// NoCache runs every step again.
	NoCache bool `json:"no_cache,omitempty"`
	// Versions are those of the service's own secrets that Build names, and Envelopes contain
	// their sealed values.
	Versions  servicedef.SecretVersions `json:"versions,omitempty"`
	Envelopes []secrets.Envelope        `json:"envelopes,omitempty"`
}

// BuildResult is the image that was built.
type BuildResult struct {
	ImageID string `json:"image_id"`
	// LogFile holds the whole output, on the builder.
	LogFile string `json:"log_file"`
	Builder string `json:"builder"`
}

// Build builds an image from the builder's workspace. A source that does not
// build is Invalid and not retried. Sources whose hash is not the one that the image's tag
// is made from are a Conflict.
func (a *Builder) Build(ctx context.Context, in BuildInput) (BuildResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (BuildResult, error) {
		return a.build(ctx, r, in)
	})
}

func (a *Builder) build(ctx context.Context, r *attempt.Reporter, in BuildInput) (BuildResult, error) {
	spec, err := a.spec(in)
	if err != nil {
		return BuildResult{}, err
	}
	log, err := a.openLog(in)
	if err != nil {
		return BuildResult{}, err
	}
	defer log.close()
	result := BuildResult{LogFile: log.name, Builder: a.Name}
	r.Set("build", in.Image)
	if err := a.useSources(ctx, in, &spec); err != nil {
		log.end(err)
		return result, err
	}
	spec.Out = io.MultiWriter(log, a.output(in), &stepWriter{report: func(step string) { r.Set("build", step) }})
	result.ImageID, err = a.Runtime.Build(ctx, spec)
	if err == nil {
		err = a.checkAgain(ctx, in)
	}
	log.end(err)
	if err != nil && ctx.Err() == nil {
		f := *fault.Of(err)
		whole := fmt.Sprintf("read the whole log: mcp build log %s %s", in.Service, servicedef.ImageName(in.Image))
		f.Hint = strings.TrimPrefix(f.Hint+"; "+whole, "; ")
		return result, &f
	}
	return result, err
}

// output returns where the output of a build is shown while it runs.
func (a *Builder) output(in BuildInput) io.Writer {
	if a.Output == nil {
		return io.Discard
	}
	return a.Output(in.Service, servicedef.ImageName(in.Image))
}

// spec is the part of a build's specification that does not depend on git.
func (a *Builder) spec(in BuildInput) (runtime.BuildSpec, error) {
	b := in.Build
	spec := runtime.BuildSpec{
		Tag: in.Image, Args: b.Args, Target: b.Target, Platforms: b.Platforms, CacheFrom: b.CacheFrom, CacheTo: b.CacheTo,
		Labels: b.Labels, NoCache: b.NoCache || in.NoCache,
	}
	place, err := a.places(in)
	if err != nil {
		return spec, err
	}
	bases, unknown, err := basesOf(place.containerfile, b.Args)
	if err != nil {
		return spec, err
	}
	if err := a.permit(in, bases, unknown); err != nil {
		return spec, err
	}
	spec.Context, spec.Containerfile, spec.Contexts = place.context, place.containerfile, place.contexts
	if spec.Secrets, err = a.secretsOf(in, place.path); err != nil {
		return spec, err
	}
	spec.Insecure = a.basesInsecure(bases)
	for _, repository := range append(b.CacheFrom, b.CacheTo...) {
		spec.Insecure = spec.Insecure || a.Insecure(repository)
	}
	return spec, nil
}

// useSources adds to a build what git reports about its sources: labels and, for an image
// whose tag git gave, which files belong to them.
func (a *Builder) useSources(ctx context.Context, in BuildInput, spec *runtime.BuildSpec) error {
	if a.Sources == nil {
		return nil
	}
	if in.Source == nil {
		// A label is no reason to fail.
		if found, err := a.Sources.Describe(ctx, a.query(in)); err == nil {
			spec.Labels = withLabels(found, in.Build.Labels)
		}
		return nil
	}
	found, err := a.matching(ctx, in)
	if err != nil {
		return err
	}
	spec.Labels, spec.Only = withLabels(found, in.Build.Labels), found.Only
	contexts := maps.Clone(spec.Contexts)
	for name, only := range found.Contexts {
		c := contexts[name]
		c.Only = only
		contexts[name] = c
	}
	spec.Contexts = contexts
	return nil
}

// withLabels adds the labels of a definition to those of the sources.
func withLabels(found servicedef.BuildSources, given map[string]string) map[string]string {
	labels := found.Labels()
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, given)
	return labels
}

// query names the sources of a build on this builder.
func (a *Builder) query(in BuildInput) servicedef.SourceQuery {
	return servicedef.SourceQuery{Image: in.Image, Workspace: a.Workspace, Path: in.Path, Build: in.Build, Dirty: in.Source != nil && in.Source.Dirty}
}

// matching returns the sources here, which must have the hash of the image's tag.
func (a *Builder) matching(ctx context.Context, in BuildInput) (servicedef.BuildSources, error) {
	found, err := a.Sources.Read(ctx, a.query(in))
	if err != nil {
		f := *fault.Of(err)
		f.Message = fmt.Sprintf("builder %s: %s", a.Name, f.Message)
		return found, &f
	}
	if found.Hash != in.Source.Hash {
		return found, fault.New(fault.Conflict, "builder %s does not have the sources of %s: the tag is that of commit %s, and %s has %s",
			a.Name, in.Image, in.Source.Short(), a.Workspace, found.Short()).
			WithHint("check out commit %.12s on builder %s, or build where it is checked out", in.Source.Commit, a.Name)
	}
	return found, nil
}

// checkAgain refuses an image whose sources were changed during the build: it may contain
// files of both states.
func (a *Builder) checkAgain(ctx context.Context, in BuildInput) error {
	if a.Sources == nil || in.Source == nil {
		return nil
	}
	if _, err := a.matching(ctx, in); err != nil {
		f := *fault.Of(err)
		f.Message = fmt.Sprintf("the sources of %s were changed during the build: %s", in.Image, f.Message)
		return &f
	}
	return nil
}

// places are the paths of a build, absolute and checked.
type places struct {
	path, context, containerfile string
	contexts                     map[string]runtime.BuildContext
}

// places resolves the directories of a build and its Containerfile. It refuses paths that
// leave the workspace, also through a symbolic link.
func (a *Builder) places(in BuildInput) (places, error) {
	root, err := filepath.EvalSymlinks(a.Workspace)
	if err != nil {
		return places{}, fault.Wrap(fault.Invalid, err, "workspace of builder %s", a.Name)
	}
	var p places
	if p.path, err = resolved(root, in.Path); err != nil {
		return places{}, fault.Wrap(fault.Invalid, err, "source directory of service %s", in.Service).
			WithHint("write path relative to the builder's workspace, %s", a.Workspace)
	}
	hint := fmt.Sprintf("correct [build.images] of service %s: its directories are relative to %s", in.Service, p.path)
	if p.context, err = resolved(root, filepath.Join(in.Path, in.Build.Context)); err != nil {
		return places{}, fault.Wrap(fault.Invalid, err, "build context of %s", in.Image).WithHint("%s", hint)
	}
	file := in.Build.Containerfile
	if file == "" {
		file = defaultContainerfile(p.context)
	}
	path := filepath.Join(in.Path, in.Build.Context, file)
	if inner, err := filepath.Rel(root, p.context); err == nil && filepath.IsLocal(file) {
		path = filepath.Join(inner, file) // the context may be a link
	}
	if p.containerfile, err = within(root, path); err != nil {
		return places{}, fault.Wrap(fault.Invalid, err, "Containerfile of %s", in.Image).
			WithHint("correct [build.images] of service %s: its files are relative to %s", in.Service, p.context)
	}
	p.contexts = map[string]runtime.BuildContext{}
	for name, value := range in.Build.Contexts {
		if image, isImage := servicedef.ContextImage(value); isImage {
			p.contexts[name] = runtime.BuildContext{Image: image}
			continue
		}
		dir, err := resolved(root, filepath.Join(in.Path, value))
		if err != nil {
			return places{}, fault.Wrap(fault.Invalid, err, "context %s of %s", name, in.Image).WithHint("%s", hint)
		}
		p.contexts[name] = runtime.BuildContext{Dir: dir}
	}
	return p, nil
}

// defaultContainerfile returns the file that a build without one uses.
func defaultContainerfile(context string) string {
	const preferred, other = "Containerfile", "Dockerfile"
	if _, err := os.Stat(filepath.Join(context, preferred)); err != nil {
		if _, err := os.Stat(filepath.Join(context, other)); err == nil {
			return other
		}
	}
	return preferred
}

// resolved returns a directory below a resolved root, without symbolic links.
func resolved(root, path string) (string, error) {
	dir, err := within(root, path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
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
