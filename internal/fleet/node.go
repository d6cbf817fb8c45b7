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
	// Boot identifies this boot of its host; "" if that is unknown.
	Boot string `json:"boot,omitempty"`
	// Key is the public key to which secrets for the node are sealed, "age1…"; "" for
	// none. Signers are the public keys of the operators whose secrets it takes. Both are
	// what its worker claimed the name with.
	Key     string   `json:"key,omitempty"`
	Signers []string `json:"signers,omitempty"`
}

// Boot is the work that a boot of a node's host makes necessary.
type Boot struct {
	// New reports whether its containers have yet to be started again.
	New bool `json:"new"`
	// Services are those that have a container on the node, or may have one when the
	// deploy that is under way has ended.
	Services []string `json:"services,omitempty"`
}

// The states of a node. Draining is set by an operator and kept apart from the
// state that is observed.
const (
	NodeReady       = "ready"
	NodeUnreachable = "unreachable"
	NodeDraining    = "draining"
)

// NodeState is a node with its last observation.
type NodeState struct {
	NodeRecord
	// State is ready or unreachable; "" before the first observation.
	State string `json:"state"`
	// Since is when it entered that state.
	Since time.Time `json:"since,omitzero"`
	// Draining reports whether it gets no new container.
	Draining bool `json:"draining,omitempty"`
	// Observed is when it was last observed, whether it answered or not. Overdue is set
	// where the next observation is late: nothing is known of the node since.
	Observed time.Time `json:"observed,omitzero"`
	Overdue  bool      `json:"overdue,omitempty"`
	// Answered is when it last answered an observation, and Status its answer.
	Answered time.Time   `json:"answered,omitzero"`
	Status   *NodeStatus `json:"status,omitempty"`
	// Drift is what is open on the node, oldest first.
	Drift []OpenDrift `json:"drift"`
}

// LastObserved is when the node was last observed; before the first observation, when its
// worker announced itself.
func (n NodeState) LastObserved() time.Time {
	if n.Observed.After(n.Seen) {
		return n.Observed
	}
	return n.Seen
}

// WatchedNode is a node that the monitor observes.
type WatchedNode struct {
	Name string `json:"name"`
	// Silent reports whether it left the last observation unanswered.
	Silent bool `json:"silent,omitempty"`
}

// ServiceOn is a service and its components on a node.
type ServiceOn struct {
	Service    string   `json:"service"`
	Components []string `json:"components"`
}
