package plan

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/metacircular/mcp/servicedef"
)

// Suffixes of the names under which a component's container waits to take
// over, and waits to be removed.
const (
	NextSuffix = ".next"
	PrevSuffix = ".prev"
)

// Container is a container as a node was seen to have it.
type Container struct {
	Name string `json:"name"`
	// Service and Component are its labels; "" on a container that is not
	// mcp's.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	// Deployment and Spec are its labels too.
	Deployment int    `json:"deployment,omitempty"`
	Spec       string `json:"spec,omitempty"`
	Running    bool   `json:"running"`
}

// Node is what the survey of one node found.
type Node struct {
	// Reachable is false where no worker answered; the rest is then empty.
	Reachable  bool        `json:"reachable"`
	Containers []Container `json:"containers,omitempty"`
	// MissingSecrets are those that the service needs there, and that podman does
	// not have.
	MissingSecrets []string `json:"missing_secrets,omitempty"`
}

// Input is all that a plan depends on.
type Input struct {
	Desired servicedef.Service `json:"desired"`
	// Only names the components to deploy; the others stay as they are.
	// Empty means all.
	Only []string `json:"only,omitempty"`
	// Force replaces components that have not changed.
	Force   bool    `json:"force,omitempty"`
	Release Release `json:"release"`
	// Nodes holds the survey of every node of NodesOf.
	Nodes map[string]Node `json:"nodes"`
	// Digests maps each image reference to its digest; "" where the image
	// registry lacks it and it will be built.
	Digests map[string]string `json:"digests"`
	// Pinned has each component run by the digest that it has in the release,
	// whatever Digests say.
	Pinned bool `json:"pinned,omitempty"`
}

// Action is what a plan does to one component.
type Action string

// The actions, in a diff's terms: + ~ = - for Create, Replace, Keep, Remove.
const (
	Create  Action = "create"
	Replace Action = "replace"
	Keep    Action = "keep"
	Stop    Action = "stop"
	Remove  Action = "remove"
	// Take is an adoption's: the container stays as it is, and is mcp's.
	Take Action = "adopt"
)

// Change is one reason for a step: a field that is not what it was.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// Step is what a plan does to one component.
type Step struct {
	Component string `json:"component"`
	Container string `json:"container"`
	// Node is where the component will be, OldNode where its container is
	// now; "" if it has none.
	Node    string   `json:"node"`
	OldNode string   `json:"old_node,omitempty"`
	Action  Action   `json:"action"`
	Changes []Change `json:"changes,omitempty"`
	// Wave is when it may start: after every step of a lower wave is healthy.
	// What is removed has the wave in which it was started.
	Wave int `json:"wave"`
	// OldActive is whether the release has the old container running, so that
	// an undo starts it again.
	OldActive bool `json:"old_active,omitempty"`
}

// Rename gives a container another name.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Recovery is what a node needs before anything else: it takes away what a
// deploy that never ended left there, and puts back the release.
type Recovery struct {
	Node   string   `json:"node"`
	Remove []string `json:"remove,omitempty"`
	Rename []Rename `json:"rename,omitempty"`
	Start  []string `json:"start,omitempty"`
}

// Plan is what a deploy will do, in the order in which it will do it.
type Plan struct {
	Service  string     `json:"service"`
	Active   bool       `json:"active"`
	Recovery []Recovery `json:"recovery,omitempty"`
	Steps    []Step     `json:"steps"`
	// Definition is set when the release's definition is another one, even
	// where no container is touched for it.
	Definition bool `json:"definition"`
	// Unreachable are nodes that hold only what is to be removed, and did not
	// answer: what is there stays until they are back.
	Unreachable []string `json:"unreachable,omitempty"`
}

// Unchanged reports whether there is nothing to do at all.
func (p Plan) Unchanged() bool {
	return len(p.Recovery) == 0 && len(p.Unreachable) == 0 && !p.Definition && !p.TouchesContainers()
}

// TouchesContainers reports whether any step does more than keep.
func (p Plan) TouchesContainers() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action != Keep })
}

// Follows reports whether any container makes way for another, or for none.
func (p Plan) Follows() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == Replace || s.Action == Remove })
}

// Starts are the steps that run a new container, in waves.
func (p Plan) Starts() [][]Step { return p.waves(Create, Replace) }

// Ends are the steps that remove a component, in waves: what depends on others
// ends before them.
func (p Plan) Ends() [][]Step {
	waves := p.waves(Remove)
	slices.Reverse(waves)
	return waves
}

// waves groups the steps of some actions by their wave.
func (p Plan) waves(actions ...Action) [][]Step {
	var waves [][]Step
	for _, step := range p.Steps {
		if !slices.Contains(actions, step.Action) {
			continue
		}
		for len(waves) <= step.Wave {
			waves = append(waves, nil)
		}
		waves[step.Wave] = append(waves[step.Wave], step)
	}
	return waves
}

// NodesOf are the nodes to survey before a plan: those that the definition
// names, which must answer, and those that hold what is to be replaced or
// removed, or may hold leftovers, which should.
func NodesOf(desired servicedef.Service, release Release) (required, optional []string) {
	need := map[string]bool{}
	for _, c := range desired.Components {
		need[c.Node] = true
	}
	left := release.Touched
	for _, m := range release.Members() {
		left = append(left, m.Node)
	}
	for _, name := range left {
		if _, known := need[name]; !known {
			need[name] = false
		}
	}
	for name, must := range need {
		if must {
			required = append(required, name)
		} else {
			optional = append(optional, name)
		}
	}
	sort.Strings(required)
	sort.Strings(optional)
	return required, optional
}

// Members are the release's components in the order of their names.
func (r Release) Members() []ReleaseMember {
	members := make([]ReleaseMember, 0, len(r.Components))
	for _, m := range r.Components {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b ReleaseMember) int { return strings.Compare(a.Component, b.Component) })
	return members
}

// ForeignContainerError says that a name the plan needs is held by a
// container that is not this service's.
type ForeignContainerError struct {
	Container, Node, Owner string
}

func (e *ForeignContainerError) Error() string {
	owner := "was not started by mcp"
	if e.Owner != "" {
		owner = "belongs to service " + e.Owner
	}
	return fmt.Sprintf("container %s exists on node %s and %s", e.Container, e.Node, owner)
}

// DrainingNodeError says that a plan would start a new container on a node that
// gets none.
type DrainingNodeError struct {
	Component, Node string
}

func (e *DrainingNodeError) Error() string {
	return fmt.Sprintf("component %s needs a new container on node %s, which is draining", e.Component, e.Node)
}

// MissingSecretError says that a plan would start a container that needs a secret
// which its node's podman does not have.
type MissingSecretError struct {
	Component, Node, Secret string
}

func (e *MissingSecretError) Error() string {
	return fmt.Sprintf("component %s needs the secret %s, which podman on node %s does not have", e.Component, e.Secret, e.Node)
}

// Make plans a deploy. Its only errors are *ForeignContainerError,
// *DrainingNodeError, *MissingSecretError and an unknown name in Only.
func Make(in Input) (Plan, error) {
	for _, name := range in.Only {
		if _, ok := in.Desired.Component(name); !ok {
			return Plan{}, fmt.Errorf("service %s has no component %s", in.Desired.Name, name)
		}
	}
	p := &planner{Input: in, current: map[string]map[string]Container{}}
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
	return p.plan, nil
}

type planner struct {
	Input
	plan Plan
	// current holds, by node and name, the service's containers as they will
	// be when the recovery has been done.
	current map[string]map[string]Container
}

func sortedNodes[V any](nodes map[string]V) []string {
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
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
	return nil
}

// component decides what to do about one component.
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
	}
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
		return step, nil
	}
	if slices.Contains(p.Release.Draining, c.Node) {
		return step, &DrainingNodeError{Component: c.Name, Node: c.Node}
	}
	for _, secret := range c.SecretNames() {
		if slices.Contains(p.Nodes[c.Node].MissingSecrets, secret) {
			return step, &MissingSecretError{Component: c.Name, Node: c.Node, Secret: secret}
		}
	}
	return step, nil
}

// inactive plans a component of a service that should not run.
func (p *planner) inactive(step Step) Step {
	step.Action = Keep
	if step.OldNode != "" {
		step.Node = step.OldNode
	}
	if current, exists := p.current[step.Node][step.Container]; exists && current.Running {
		step.Action, step.OldNode = Stop, step.Node
		step.Changes = []Change{{Field: "active", From: "true", To: "false"}}
	}
	return step
}

// foreign fails when the name is held by a container of somebody else's.
func (p *planner) foreign(step Step) error {
	for _, c := range p.Nodes[step.Node].Containers {
		mine := c.Service == p.Desired.Name && c.Component == step.Component
		if realName(c.Name) == step.Container && !mine {
			return &ForeignContainerError{Container: c.Name, Node: step.Node, Owner: c.Service}
		}
	}
	return nil
}

// removals plans an end for what the release has and the definition has not.
func (p *planner) removals() {
	waves := wavesOf(p.Release.Definition)
	for _, m := range p.Release.Members() {
		if _, wanted := p.Desired.Component(m.Component); wanted || len(p.Only) > 0 {
			continue
		}
		p.plan.Steps = append(p.plan.Steps, Step{
			Component: m.Component, Container: m.Container,
			Node: m.Node, OldNode: m.Node, OldActive: m.Active,
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
