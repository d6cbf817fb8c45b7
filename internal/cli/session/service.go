package session

import (
	"fmt"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/workflows"
)

// DeployTarget returns the input of a deploy of "SERVICE[/COMPONENT]", whose
// definition is in dir.
func (s *Session) DeployTarget(cfg *config.Config, dir *servicedir.Dir, target string) (workflows.DeployInput, error) {
	definition, part, err := DefinitionIn(dir, target)
	if err != nil {
		return workflows.DeployInput{}, err
	}
	in := s.DeployInput(cfg, definition)
	if part != "" {
		if _, ok := definition.Component(part); !ok {
			return in, exit.Usage(fmt.Errorf("service %s has no component %s: it has %s",
				definition.Name, part, strings.Join(ComponentNames(definition), ", ")))
		}
		in.Only = []string{part}
	}
	return in, nil
}

// DeployInput returns the input of a deploy of a whole definition, with the deadline
// and the builder of the configuration.
func (s *Session) DeployInput(cfg *config.Config, definition *servicedef.Service) workflows.DeployInput {
	in := workflows.DeployInput{
		Verb:       fleet.VerbDeploy,
		Definition: *definition,
		Deadline:   time.Duration(cfg.Deadline),
		Builder:    cfg.Build.Builder,
	}
	in.Who, in.From = s.Identity()
	return in
}

// NeverDeployed returns the fault of a service of which the registry has no
// deployment.
func NeverDeployed(service string) error {
	return exit.Usage(fault.New(fault.NotFound, "service %s has never been deployed", service).
		WithHint("deploy it: mcp deploy %s", service))
}
