package secret

import (
	"errors"
	"slices"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/workflows"
)

// consumers are the nodes that need a secret, and whether any component there names it.
type consumers struct {
	nodes  []string
	builds bool // whether a build names it
	named  bool
	from   string // where that is known from
}

// consumersOf returns the nodes of those components, jobs and steps that name a secret, and
// whether a build does; by the definition in the services directory, or else by the release.
// If nothing names it, they are all nodes of the service.
func (d *desk) consumersOf(service, name string, release *fleet.Release) (consumers, error) {
	definition, missing, err := d.definition(service)
	if err != nil {
		return consumers{}, err
	}
	from := "definition"
	if definition == nil && release != nil && release.Definition != nil {
		definition, from = release.Definition, "release"
	}
	if definition == nil {
		return consumers{}, nowhere(service, missing)
	}
	c := consumers{from: from}
	var all []string
	for _, user := range servicedef.SecretUsers(*definition) {
		all = append(all, user.Node)
		if slices.Contains(user.Secrets, name) {
			c.nodes, c.named = append(c.nodes, user.Node), true
			c.builds = c.builds || user.Node == ""
		}
	}
	if !c.named {
		c.nodes = slices.Concat(all, workflows.Nodes(*definition))
	}
	c.nodes = slices.DeleteFunc(c.nodes, func(node string) bool { return node == "" })
	slices.Sort(c.nodes)
	c.nodes = slices.Compact(c.nodes)
	return c, nil
}

// definition returns the definition of a service in the services directory; nil, and why, if
// there is none.
func (d *desk) definition(service string) (definition *servicedef.Service, missing, err error) {
	if d.cfg.Services == "" {
		return nil, session.NoServices(d.cfg), nil
	}
	dir, err := session.Definitions(d.cfg)
	if err != nil {
		return nil, err, nil
	}
	definition, _, err = session.DefinitionIn(dir, service)
	if errors.As(err, new(*servicedir.NotFoundError)) {
		return nil, err, nil
	}
	return definition, nil, err
}

// nowhere returns the error of a service of which nothing is known.
func nowhere(service string, missing error) error {
	f := exit.FaultOf(missing)
	hint := "write its definition first, or name the nodes that the value is for: --node NAME"
	if f.Hint != "" {
		hint = f.Hint + "; otherwise " + hint
	}
	return exit.Usage(fault.New(fault.NotFound, "which nodes need a secret of %s is not known: it was never deployed, and %s", service, f.Message).WithHint("%s", hint))
}
