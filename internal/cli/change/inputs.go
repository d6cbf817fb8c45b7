package change

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/workflows"
)

type deployOptions struct {
	force    bool
	deadline time.Duration
	// all selects every definition of the services directory; changed selects those of
	// them, or of the named ones, that a deploy would change.
	all, changed bool
	// wait waits until the containers that are replaced are gone.
	wait bool
	sourceOptions
}

// check returns an error if no services are given, or if they are given both by name and
// by --all.
func (o deployOptions) check(targets []string) error {
	switch {
	case o.all && len(targets) > 0:
		return errors.New("--all deploys every service: name none beside it")
	case len(targets) == 0 && !o.all && !o.changed:
		return errors.New("name a service, or give --all or --changed")
	}
	return o.sourceOptions.check()
}

// apply sets the options in an input.
func (o deployOptions) apply(in workflows.DeployInput) workflows.DeployInput {
	in.Force, in.NoCache = o.force, o.noCache
	in.Deadline = cmp.Or(o.deadline, in.Deadline)
	return in
}

// deployInputs reads the definitions of the named services, or all, and returns all of
// their mistakes as one error.
func deployInputs(ctx context.Context, s *session.Session, cfg *config.Config, targets []string, o deployOptions) ([]workflows.DeployInput, error) {
	if len(targets) == 0 {
		return allInputs(ctx, s, cfg, o)
	}
	dir, err := session.Definitions(cfg)
	if err != nil {
		return nil, err
	}
	var inputs []workflows.DeployInput
	var bad []error
	named := map[string]bool{}
	for _, target := range targets {
		in, err := s.DeployTarget(cfg, dir, target)
		name := in.Definition.Name
		if err == nil && named[name] {
			err = exit.Usage(fmt.Errorf("service %s is named twice", name))
		}
		if err == nil {
			err = s.ResolveInput(ctx, cfg, &in, o.dirty)
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		named[name] = true
		inputs = append(inputs, o.apply(in))
	}
	if err := collisionsOf(inputs); err != nil {
		bad = append(bad, err)
	}
	return inputs, together(bad)
}

// collisionsOf finds names that two of the services to deploy would share.
func collisionsOf(inputs []workflows.DeployInput) error {
	list := make([]*servicedef.Service, 0, len(inputs))
	for i := range inputs {
		list = append(list, &inputs[i].Definition)
	}
	if err := collisions.Containers(list); err != nil {
		return exit.Usage(err)
	}
	return nil
}

// allInputs reads every definition of the services directory, or all that have the
// environment.
func allInputs(ctx context.Context, s *session.Session, cfg *config.Config, o deployOptions) ([]workflows.DeployInput, error) {
	if _, err := session.DefinitionFiles(cfg); err != nil {
		return nil, err
	}
	byName, problems, err := s.AllDefinitions(cfg)
	if err != nil {
		return nil, err
	}
	var inputs []workflows.DeployInput
	var bad []error
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		in := s.DeployInput(cfg, byName[name])
		if err := s.ResolveInput(ctx, cfg, &in, o.dirty); err != nil {
			bad = append(bad, err)
			continue
		}
		inputs = append(inputs, o.apply(in))
	}
	if len(problems) > 0 {
		bad = append(bad, exit.Usage(problems))
	}
	if err := collisionsOf(inputs); err != nil {
		bad = append(bad, err)
	}
	return inputs, together(bad)
}

// together joins several errors into one of usage; nil if there is none.
func together(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	if len(errs) == 1 {
		return errs[0]
	}
	var lines, hints []string
	for _, err := range errs {
		f := exit.FaultOf(err)
		if !slices.Contains(lines, f.Message) {
			lines = append(lines, f.Message)
		}
		if f.Hint != "" && !slices.Contains(hints, f.Hint) {
			hints = append(hints, f.Hint)
		}
	}
	return exit.Usage(fault.New(fault.Invalid, "%s", strings.Join(lines, "\n")).WithHint("%s", strings.Join(hints, "; ")))
}
