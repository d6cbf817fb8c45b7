package plan

import (
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// drains sets how long each replaced container goes on serving after the cut-over:
// the drain of its own definition, where it has routes and runs until then.
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
		if step.Action != Replace || len(member.Routes) == 0 || stopped[step.Component] || !p.current[step.OldNode][step.Container].Running {
			continue
		}
		step.Drain = releasedOn(p.Release, step.Component, member.Node).Drain
	}
}

// Drain returns how long the predecessors serve after the cut-over: as long as the
// one that serves longest.
func (p Plan) Drain() time.Duration {
	var longest servicedef.Duration
	for _, step := range p.Steps {
		longest = max(longest, step.Drain)
	}
	return time.Duration(longest)
}
