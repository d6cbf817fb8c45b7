package plan

import (
	"slices"
	"sort"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Node is what the survey of one node found.
type Node struct {
	// Reachable is false where no worker answered; the rest is then empty.
	Reachable  bool              `json:"reachable"`
	Containers []fleet.Container `json:"containers,omitempty"`
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
	Force   bool          `json:"force,omitempty"`
	Release fleet.Release `json:"release"`
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

func (r Recovery) empty() bool { return len(r.Remove)+len(r.Rename)+len(r.Start) == 0 }

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
func NodesOf(desired servicedef.Service, release fleet.Release) (required, optional []string) {
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
