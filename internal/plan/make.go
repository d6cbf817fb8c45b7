package plan

import (
	"fmt"
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Make plans a deploy. Its only errors are *ForeignContainerError, *DrainingNodeError,
// *MissingSecretError, *SealedError, *UnsetSecretError, *UnknownKeyError, *ForbiddenError,
// *LackingError, *HeldError, *ClaimedError, *UnreachableError and an unknown name in Only.
func Make(in Input) (Plan, error) {
	for _, name := range in.Only {
		if _, ok := in.Desired.Component(name); !ok {
			return Plan{}, fmt.Errorf("service %s has no component %s", in.Desired.Name, name)
		}
	}
	p := &planner{Input: in, current: map[string]map[string]fleet.Container{}}
	p.plan = Plan{
		Service:    in.Desired.Name,
		Active:     in.Desired.Active,
		Definition: redefines(in.Desired, in.Release),
	}
	p.recover()
	if err := p.components(); err != nil {
		return Plan{}, err
	}
	p.removals()
	if err := p.jobs(); err != nil {
		return Plan{}, err
	}
	if err := p.held(); err != nil {
		return Plan{}, err
	}
	if err := p.edges(); err != nil {
		return Plan{}, err
	}
	p.handovers()
	p.drains()
	if err := p.tasks(); err != nil {
		return Plan{}, err
	}
	p.cautions()
	return p.plan, nil
}

// components plans each component of the definition, wave by wave.
func (p *planner) components() error {
	for wave, names := range p.Desired.StartOrder() {
		for _, name := range names {
			component, _ := p.Desired.Component(name)
			step, err := p.component(component)
			if err != nil {
				return err
			}
			step.Wave = wave
			p.plan.Steps = append(p.plan.Steps, step)
		}
	}
	if !slices.ContainsFunc(p.plan.Steps, Step.starts) {
		return nil
	}
	return p.fits("", p.Desired.Lasting()...)
}

// component plans one component.
func (p *planner) component(c servicedef.Component) (Step, error) {
	step := Step{
		Component: c.Name,
		Container: servicedef.ContainerNameFor(p.Desired.Name, c.Name),
		Node:      c.Node,
	}
	member, released := p.Release.Components[c.Name]
	if released {
		step.OldNode, step.OldActive = member.Node, member.Active
	}
	if len(p.Only) > 0 && !slices.Contains(p.Only, c.Name) {
		step.Action = Keep
		return step, nil
	}
	if !p.Desired.Active {
		return p.inactive(step), nil
	}
	if err := p.foreign(step); err != nil {
		return step, err
	}
	current, exists := p.current[c.Node][step.Container]
	if exists {
		step.OldNode, step.OldActive = c.Node, step.OldActive || current.Running
		if released && current.Done && releasedOn(p.Release, c.Name, member.Node).RunsOnce() {
			step.OldActive = false // it has done its work, and an undo does not start it again
		}
	}
	step.OldID = p.current[step.OldNode][step.Container].ID
	step.Changes = p.changes(c, member, released, current, exists)
	switch {
	case len(step.Changes) == 0:
		step.Action = Keep
	case exists || released && member.Node != c.Node:
		step.Action = Replace
	default:
		step.Action = Create
	}
	if step.Action == Keep {
		step.Changes = p.definitionChanges(c)
		return step, nil
	}
	return step, p.possible(c)
}

// inactive plans a component of a service that is stopped.
func (p *planner) inactive(step Step) Step {
	step.Action = Keep
	if step.OldNode != "" {
		step.Node = step.OldNode
	}
	if current, exists := p.current[step.Node][step.Container]; exists && current.Running {
		step.Action, step.OldNode, step.OldID = Stop, step.Node, current.ID
		step.Changes = []Change{{Field: "active", From: "true", To: "false"}}
	}
	return step
}

// foreign fails when the name is held by a container that is not the component's.
func (p *planner) foreign(step Step) error {
	for _, c := range p.Nodes[step.Node].Containers {
		mine := c.Service == p.Desired.Name && c.Component == step.Component
		if fleet.RealName(c.Name) == step.Container && !mine {
			return &ForeignContainerError{Container: c.Name, Node: step.Node, Owner: c.Service}
		}
	}
	for _, o := range p.Release.Others {
		if o.Node == step.Node && o.Container == step.Container {
			return &ForeignContainerError{Container: o.Container, Node: o.Node, Owner: o.Service, Missing: true}
		}
	}
	return nil
}

// removals plans the removal of what the release has and the definition does not.
func (p *planner) removals() {
	waves := p.Release.Waves()
	for _, m := range p.Release.Members() {
		c, wanted := p.Desired.Component(m.Component)
		if wanted && !c.IsJob() || len(p.Only) > 0 && (!wanted || !slices.Contains(p.Only, m.Component)) {
			continue
		}
		p.plan.Steps = append(p.plan.Steps, Step{
			Component: m.Component, Container: m.Container,
			Node: m.Node, OldNode: m.Node, OldActive: m.Active, OldID: p.current[m.Node][m.Container].ID,
			Action: Remove, Wave: waves[m.Component],
			Changes: []Change{{Field: "component", From: m.Component}},
		})
	}
	for _, name := range sortedNodes(p.Nodes) {
		if !p.Nodes[name].Reachable {
			p.plan.Unreachable = append(p.plan.Unreachable, name)
		}
	}
}

// redefines reports whether the release's definition is not the desired one. A
// service that was never released and gets no component is not redefined.
func redefines(desired servicedef.Service, release fleet.Release) bool {
	if release.Definition == nil {
		return len(desired.Components) > 0
	}
	return release.Definition.Hash() != desired.Hash()
}
