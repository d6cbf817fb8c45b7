package service

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// Completers returns the completions of services and their parts.
func Completers() map[string]session.Completer {
	components := completer(func(p session.Parts) []string { return p.Components })
	return map[string]session.Completer{
		"SERVICE":             completer(nil),
		"SERVICE[/COMPONENT]": components,
		"SERVICE/COMPONENT":   components,
		"SERVICE[/PART]":      completer(func(p session.Parts) []string { return slices.Concat(p.Components, p.Steps) }),
		"SERVICE/JOB":         completer(func(p session.Parts) []string { return p.Jobs }),
		"SERVICE[/IMAGE]":     completer(func(p session.Parts) []string { return p.Images }),
		"--env":               completeEnvironment,
		"--format":            completeFormat,
	}
}

// completer finds services, the defined and the deployed ones, and, if the word
// leaves only one of them, its parts.
func completer(parts func(session.Parts) []string) session.Completer {
	return func(ctx context.Context, s *session.Session, cfg *config.Config, _ []string, word string) []cobra.Completion {
		service, _, within := strings.Cut(word, "/")
		other := func(name string) bool { return name != service && (within || !strings.HasPrefix(name, service)) }
		defined, released := s.Defined(cfg), map[string]session.Parts(nil)
		if s.Environment != "" {
			maps.DeleteFunc(defined, func(_ string, p session.Parts) bool { return !slices.Contains(p.Environments, s.Environment) })
		}
		list := slices.DeleteFunc(slices.Collect(maps.Keys(defined)), other)
		if s.Environment == "" {
			released = deployed(ctx, s, cfg, len(list) > 0)
		}
		list = append(list, slices.DeleteFunc(slices.Collect(maps.Keys(released)), other)...)
		slices.Sort(list)
		if list = slices.Compact(list); len(list) == 1 && parts != nil {
			for _, part := range slices.Concat(parts(released[list[0]]), parts(defined[list[0]])) {
				list = append(list, list[0]+"/"+part)
			}
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
}

func completeFormat(context.Context, *session.Session, *config.Config, []string, string) []cobra.Completion {
	return []cobra.Completion{"compose", "quadlet"}
}

// completeEnvironment finds the environments of the service that the first argument
// names, or of all.
func completeEnvironment(_ context.Context, s *session.Session, cfg *config.Config, before []string, _ string) []cobra.Completion {
	var list []cobra.Completion
	defined := s.Defined(cfg)
	for name, parts := range defined {
		named := ""
		if len(before) > 0 {
			named, _, _ = strings.Cut(before[0], "/")
		}
		if _, known := defined[named]; !known || name == named {
			list = append(list, parts.Environments...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// deployed returns the services of the registry. One without a successful deployment
// has no parts yet.
func deployed(ctx context.Context, s *session.Session, cfg *config.Config, others bool) map[string]session.Parts {
	return session.Remembered(ctx, s, cfg, "services", others, func(ctx context.Context) (map[string]session.Parts, error) {
		var services []fleet.ServiceRecord
		err := s.Peek(ctx, cfg, reads.ServicesName, nil, &services)
		byName := map[string]session.Parts{}
		for _, one := range services {
			byName[one.Release.Service] = session.PartsOf(one.Release.Definition)
		}
		return byName, err
	})
}
