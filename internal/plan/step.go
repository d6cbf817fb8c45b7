package plan

import (
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

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

// Change is a field that differs: a reason for a step or, if the component is kept, a
// change that needs no other container.
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

// Taking is a host port or a volume that a component takes from another one of its
// service, which gives it up in the same deploy.
type Taking struct {
	From  string `json:"from"`
	Thing string `json:"thing"`
}

// Stopped is a container that is stopped before a new one starts. It is kept, and an
// undo starts it again if Active is set.
type Stopped struct {
	fleet.Ref
	Component string `json:"component"`
	Node      string `json:"node"`
	Active    bool   `json:"active,omitempty"`
}

// starts reports whether a step runs a new container.
func (s Step) starts() bool { return s.Action == Create || s.Action == Replace }

// stopped is the step's old container, to be stopped.
func (s Step) stopped() Stopped {
	return Stopped{Ref: s.Old(), Component: s.Component, Node: s.OldNode, Active: s.OldActive}
}
