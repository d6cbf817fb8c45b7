package plan

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// cautions warns of what a definition may say but may not work as it was meant.
func (p *planner) cautions() {
	if p.plan.Unchanged() || !p.Desired.Active {
		return
	}
	for _, c := range p.Desired.Components {
		for _, name := range c.DependsOn {
			if other, defined := p.Desired.Component(name); defined && other.Node != c.Node {
				p.apart(c, other)
			}
		}
	}
	for _, task := range p.plan.Tasks {
		p.heldDuring(task)
	}
}

// apart warns of a component that depends on one of another node, if it seems to call that
// by its name, or if nothing shows how else it can call it: the validator refuses what
// certainly calls it by its name.
func (p *planner) apart(c, other servicedef.Component) {
	const way = "put both on one node, or give %s a route with a hostname or a port, and use that"
	switch place := mentions(p.Desired.Name, c, other.Name); {
	case place != "":
		p.warn("%s of %s seems to name %s, which is on node %s: its name leads nowhere on %s; "+way,
			place, c.Name, other.Name, other.Node, c.Node, other.Name)
	case len(other.StaticPorts()) == 0 && other.Network != "host" && !slices.ContainsFunc(other.Routes, servicedef.Route.AtEdges):
		p.warn("%s depends on %s, which is on node %s: its name leads nowhere on %s, and it has no hostname and no port of its own; "+way,
			c.Name, other.Name, other.Node, c.Node, other.Name)
	}
}

// mentions returns the key of the first text of a component that seems to name another one
// as a host: as what precedes a port, or follows "@", "//" or "host="; "" if there is none.
func mentions(service string, c servicedef.Component, name string) string {
	full := servicedef.ContainerNameFor(service, name)
	names := `(?:` + regexp.QuoteMeta(name) + `|` + regexp.QuoteMeta(full) + `)`
	host := regexp.MustCompile(`(?i)(?:^|[^\w.-])` + names + `:\d|(?:@|//|\b(?:host|server)\s*=\s*["']?)` + names + `(?:$|[^\w.-])`)
	for _, variable := range slices.Sorted(maps.Keys(c.Env)) {
		if host.MatchString(c.Env[variable]) {
			return "env." + variable
		}
	}
	if host.MatchString(strings.Join(c.Entrypoint, "\n")) {
		return "entrypoint"
	}
	if host.MatchString(strings.Join(c.Cmd, "\n")) {
		return "cmd"
	}
	for _, file := range c.Files {
		if host.MatchString(file.Content) {
			return "file " + file.Target
		}
	}
	return ""
}

// heldDuring warns of a step during which edges keep requests waiting, because the
// container that they are for has been stopped for its successor: that one gets its
// requests with the release, when all steps have succeeded.
func (p *planner) heldDuring(task Task) {
	step, defined := p.Desired.Step(task.Name)
	if !defined || len(p.Release.Edges) == 0 || p.Release.Definition == nil {
		return
	}
	before := p.Desired.StartsBefore(step)
	for _, s := range p.plan.Steps {
		if task.When == servicedef.StepBefore && !before[s.Component] {
			continue
		}
		for _, stopped := range s.StopsFirst {
			released, _ := p.Release.Definition.Component(stopped.Component)
			if !stopped.Active || !slices.ContainsFunc(released.Routes, servicedef.Route.AtEdges) {
				continue
			}
			p.warn("%s stops before its successor starts: its requests wait at the edges while step %s runs, for at most %s, and are refused after that",
				stopped.Component, task.Name, fleet.HoldTime)
		}
	}
}
