package session

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/sources"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// readsAtOnce is how many builds' sources are read at once.
const readsAtOnce = 4

// Resolve returns a definition with the tags that git gives its images, so that what is
// deployed does not depend on files that may change. With dirty, sources may differ from
// their commit: the tag is then that of their content.
func (s *Session) Resolve(ctx context.Context, cfg *config.Config, definition servicedef.Service, dirty bool) (servicedef.Service, error) {
	if !definition.NeedsGit() {
		return definition, nil
	}
	if cfg.Build.SourceDir() == "" {
		return definition, exit.Usage(fault.New(fault.Invalid, "%s has an image with a tag of %s, and this configuration has no sources to find it: it is %s",
			definition.Name, servicedef.GitTag, cfg.Describe()).
			WithHint("set [build] workspace, or [build] sources if another machine builds"))
	}
	images := definition.GitImages()
	read, failed := make([]servicedef.BuildSources, len(images)), make([]error, len(images))
	var g errgroup.Group
	g.SetLimit(readsAtOnce)
	for i, image := range images {
		g.Go(func() error {
			build, _ := definition.ImageBuild(image)
			read[i], failed[i] = sources.Git{}.Read(ctx, servicedef.SourceQuery{
				Image: image, Workspace: cfg.Build.SourceDir(), Path: definition.Path, Build: build, Dirty: dirty,
			})
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	if ctx.Err() != nil {
		return definition, exit.Interrupted
	}
	if err := joined(definition.Name, failed); err != nil {
		return definition, err
	}
	found := map[string]servicedef.Source{}
	for i, image := range images {
		found[servicedef.ImageName(image)] = read[i].Source
		if read[i].Dirty {
			s.Say("%s: the sources of %s differ from commit %.12s: the tag is that of their content",
				definition.Name, servicedef.ImageName(image), read[i].Commit)
		}
	}
	return definition.Resolved(found), nil
}

// ResolveInput is Resolve for the definition of an input.
func (s *Session) ResolveInput(ctx context.Context, cfg *config.Config, in *workflows.DeployInput, dirty bool) error {
	definition, err := s.Resolve(ctx, cfg, in.Definition, dirty)
	in.Definition = definition
	return err
}

// joined returns the errors of a service's images as one error of usage.
func joined(service string, errs []error) error {
	var lines []string
	hint := ""
	for _, err := range errs {
		if err == nil {
			continue
		}
		f := fault.Of(err)
		if f.Kind == fault.Unavailable {
			return err
		}
		lines = append(lines, service+": "+f.Message)
		hint = f.Hint
	}
	if len(lines) == 0 {
		return nil
	}
	return exit.Usage(fault.New(fault.Invalid, "%s", strings.Join(lines, "\n")).WithHint("%s", hint))
}
