package fleet

import "time"

// NodeRecord is a node as its worker announced it.
type NodeRecord struct {
	Name string `json:"name"`
	// Address is where its routes are published.
	Address string    `json:"address"`
	Runtime string    `json:"runtime"`
	Version string    `json:"version"` // mcp's
	Seen    time.Time `json:"seen,omitzero"`
	// Boot tells this boot of its host from others; "" where that is unknown.
	Boot string `json:"boot,omitempty"`
}

// Boot is what is to be done for the boot of a node's host.
type Boot struct {
	// New says that its containers have not been started again since.
	New bool `json:"new"`
	// Services are those that the node should run a container of, or may have
	// to when the deploy that is under way has ended.
	Services []string `json:"services,omitempty"`
}

// States of a node. That one is draining is an operator's wish, which is kept
// beside what the looks find.
const (
	NodeReady       = "ready"
	NodeUnreachable = "unreachable"
	NodeDraining    = "draining"
)

// NodeState is a node with what the last look at it has found.
type NodeState struct {
	NodeRecord
	// State is ready or unreachable; "" before the first look.
	State string `json:"state"`
	// Since is when it came to be in that state.
	Since time.Time `json:"since,omitzero"`
	// Draining says that it gets no new container.
	Draining bool `json:"draining,omitempty"`
	// Answered is when a look found it last, and Status what it found then.
	Answered time.Time   `json:"answered,omitzero"`
	Status   *NodeStatus `json:"status,omitempty"`
	// Drift is what has begun on the node and not ended, oldest first.
	Drift []OpenDrift `json:"drift"`
}

// WatchedNode is a node that the monitor looks at.
type WatchedNode struct {
	Name string `json:"name"`
	// Silent says that it did not answer the last look.
	Silent bool `json:"silent,omitempty"`
}

// ServiceOn is a service with those of its components that are on a node.
type ServiceOn struct {
	Service    string   `json:"service"`
	Components []string `json:"components"`
}
