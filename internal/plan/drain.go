package plan

import (
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// drains sets how long each container that goes serves on after the cut-over: the drain
// of its own definition, if it has routes and runs until then. Of those that are
// removed, only edges send the clients elsewhere.
func (p *planner) drains() {
	stopped := map[string]bool{}
	for _, step := range p.plan.Steps {
		for _, s := range step.StopsFirst {
			stopped[s.Component] = true
		}
	}
	for i := range p.plan.Steps {
		step := &p.plan.Steps[i]
		member := p.Release.Components[step.Component]
		if len(member.Routes) == 0 || stopped[step.Component] || !p.current[step.OldNode][step.Container].Running {
			continue
		}
		old := releasedOn(p.Release, step.Component, member.Node)
		if step.Action == Replace {
			step.Drain = old.Drain
		}
		if atEdges(old) && (step.Action == Replace || step.Action == Remove) {
			step.EdgeDrain = old.Drain
		}
	}
}

// Drain returns how long the predecessors serve after the cut-over: as long as the
// one that serves longest.
func (p Plan) Drain() time.Duration {
	return p.longest(func(s Step) servicedef.Duration { return s.Drain })
}

// EdgeDrain returns how long edges go on with what they have sent to the containers that
// go.
func (p Plan) EdgeDrain() time.Duration {
	return p.longest(func(s Step) servicedef.Duration { return s.EdgeDrain })
}

func (p Plan) longest(drain func(Step) servicedef.Duration) time.Duration {
	var longest servicedef.Duration
	for _, step := range p.Steps {
		longest = max(longest, drain(step))
	}
	return time.Duration(longest)
}

// DrainOf returns the longest drain of components of a release.
func DrainOf(release fleet.Release, components []string) time.Duration {
	var longest servicedef.Duration
	for _, name := range components {
		longest = max(longest, releasedOn(release, name, release.Components[name].Node).Drain)
	}
	return time.Duration(longest)
}
