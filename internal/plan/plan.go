package plan

import (
	"slices"
	"sort"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
)

// Node is the survey of one node.
type Node struct {
	// Reachable is false if no worker answered; the rest is then empty.
	Reachable  bool              `json:"reachable"`
	Containers []fleet.Container `json:"containers,omitempty"`
	// MissingSecrets are those that the service needs there and podman does not
	// have.
	MissingSecrets []string `json:"missing_secrets,omitempty"`
	// Refuses is why the node takes no secrets of the service, and RefusesHint what to do;
	// "" where it takes them, or needs none.
	Refuses     string `json:"refuses,omitempty"`
	RefusesHint string `json:"refuses_hint,omitempty"`
	// UnknownKeys are those of the definition that the node's worker does not know.
	UnknownKeys []string `json:"unknown_keys,omitempty"`
	// Lacks is what the node's engine lacks of what the definition asks for, by component.
	Lacks map[string][]Lack `json:"lacks,omitempty"`
	// Policy is what the node's policy is called, and Forbidden which of its rules the
	// definition breaks, by component.
	Policy    string                        `json:"policy,omitempty"`
	Forbidden map[string][]policy.Violation `json:"forbidden,omitempty"`
}

// Input is everything that a plan depends on.
type Input struct {
	Desired servicedef.Service `json:"desired"`
	// Only names the components to deploy; the others are kept. Empty means all.
	Only []string `json:"only,omitempty"`
	// Given is the definition that was asked for, where Desired is a part of it and
	// the release for the rest; nil where they are the same.
	Given *servicedef.Service `json:"given,omitempty"`
	// Force replaces components that have not changed.
	Force   bool          `json:"force,omitempty"`
	Release fleet.Release `json:"release"`
	// Nodes holds the survey of every node of NodesOf.
	Nodes map[string]Node `json:"nodes"`
	// Digests maps each image reference to its digest; "" if the image registry
	// lacks it and it will be built.
	Digests map[string]string `json:"digests"`
	// Held are the holders of the ports of WantedPorts, as far as they are held.
	Held []fleet.PortHolder `json:"held,omitempty"`
	// Holders are those of the endpoints of Desired, as far as they are held.
	Holders []fleet.EndpointHolder `json:"holders,omitempty"`
	// Now is when the plan is made, for the times when jobs are due; zero leaves them out.
	Now time.Time `json:"now,omitzero"`
	// Pinned makes each component run by its digest in the release, whatever Digests
	// holds.
	Pinned bool `json:"pinned,omitempty"`
	// Admitted is set where Desired is the release, and was let run before: policies judge
	// what is new.
	Admitted bool `json:"admitted,omitempty"`
	// Steps are those of Desired that the deploy runs, in their order.
	Steps []servicedef.Step `json:"run_steps,omitempty"`
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
	// Take is an adoption's: the unchanged container becomes mcp's.
	Take Action = "adopt"
)

// Change is a field that differs: a reason for a step or, where the component is
// kept, one that needs no other container.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	// To is the new value or, of a variable, "added", "changed" or "removed".
	To string `json:"to,omitempty"`
}

// Step is what a plan does to one component.
type Step struct {
	Component string `json:"component"`
	Container string `json:"container"`
	// Node is where the component will run, OldNode where its container is now; ""
	// if it has none.
	Node    string   `json:"node"`
	OldNode string   `json:"old_node,omitempty"`
	Action  Action   `json:"action"`
	Changes []Change `json:"changes,omitempty"`
	// Wave is when it may start: after every step of a lower wave is healthy.
	// A removal has the wave in which the component was started.
	Wave int `json:"wave"`
	// OldActive reports whether the old container should run, so that an undo starts
	// it again.
	OldActive bool `json:"old_active,omitempty"`
	// OldID is the old container's id; "" if that is not known.
	OldID string `json:"old_id,omitempty"`
	// Takes are the ports and volumes that it takes from other components.
	Takes []Taking `json:"takes,omitempty"`
	// StopsFirst are the containers that are stopped before the new one starts.
	StopsFirst []Stopped `json:"stops_first,omitempty"`
	// Drain is how long the old container goes on serving after the cut-over.
	Drain servicedef.Duration `json:"drain,omitempty"`
	// EdgeDrain is how long edges go on with what they have sent to it.
	EdgeDrain servicedef.Duration `json:"edge_drain,omitempty"`
}

// Old names the container that the step replaces, stops or removes.
func (s Step) Old() fleet.Ref { return fleet.Ref{Name: s.Container, ID: s.OldID} }

// Rename gives a container another name.
type Rename struct {
	ID   string `json:"id,omitempty"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Recovery restores the release on a node before anything else is done there: it
// removes what a deploy that never ended left behind.
type Recovery struct {
	Node   string      `json:"node"`
	Remove []fleet.Ref `json:"remove,omitempty"`
	Rename []Rename    `json:"rename,omitempty"`
	Start  []fleet.Ref `json:"start,omitempty"`
}

func (r Recovery) empty() bool { return len(r.Remove)+len(r.Rename)+len(r.Start) == 0 }

// Plan is what a deploy will do, in the order in which it will do it.
type Plan struct {
	Service  string     `json:"service"`
	Active   bool       `json:"active"`
	Recovery []Recovery `json:"recovery,omitempty"`
	Steps    []Step     `json:"steps"`
	// Jobs is what becomes of each job.
	Jobs []JobStep `json:"jobs,omitempty"`
	// Tasks are the steps of the definition that it runs, in their order.
	Tasks []Task `json:"tasks,omitempty"`
	// Definition is set when the release's definition differs, even if no container
	// is touched for that.
	Definition bool `json:"definition"`
	// Unreachable are nodes that only hold containers to remove and did not answer:
	// these containers stay until the nodes are back.
	Unreachable []string `json:"unreachable,omitempty"`
	// Edges is what becomes of each endpoint that edges serve, in their order.
	Edges []EdgeChange `json:"edges,omitempty"`
	// Warnings are what keeps clients from reaching the service, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
}

// Unchanged reports whether there is nothing to do at all.
func (p Plan) Unchanged() bool {
	return len(p.Recovery) == 0 && len(p.Unreachable) == 0 && !p.Definition && !p.TouchesContainers() && !p.ChangesJobs()
}

// TouchesContainers reports whether any step does more than keep.
func (p Plan) TouchesContainers() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action != Keep })
}

// Follows reports whether any container is replaced or removed.
func (p Plan) Follows() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == Replace || s.Action == Remove })
}

// Starts returns the steps that run a new container, in waves.
func (p Plan) Starts() [][]Step { return p.waves(Create, Replace) }

// Ends returns the steps that remove a component, in waves: dependents end before
// what they depend on.
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

// NodesOf returns the nodes to survey before a plan. Required are those that the
// definition names: they must answer. Optional are those that hold containers to
// replace or remove, or may hold leftovers.
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
