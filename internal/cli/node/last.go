package node

import (
	"cmp"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// nodeState is the state of a node when it last answered.
type nodeState struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Draining bool      `json:"draining"`
	Since    time.Time `json:"since,omitzero"`
	// Observed is when the node was last observed; Overdue is set where the next
	// observation is late, so that State may be outdated.
	Observed time.Time `json:"observed,omitzero"`
	Overdue  bool      `json:"overdue"`
	Seen     time.Time `json:"seen,omitzero"`
}

func lastState(n fleet.NodeState) nodeState {
	return nodeState{Name: n.Name, State: stateOf(n), Draining: n.Draining, Since: n.Since, Observed: n.Observed, Overdue: n.Overdue, Seen: n.Answered}
}

// lastStatus returns the status that the node answered last; before the first
// observation it holds what its worker announced.
func lastStatus(n fleet.NodeState) fleet.NodeStatus {
	var s fleet.NodeStatus
	if n.Status != nil {
		s = *n.Status
	} else {
		s.Load = []float64{}
	}
	s.Runtime, s.MCP = cmp.Or(s.Runtime, n.Runtime), cmp.Or(s.MCP, n.Version)
	s.Disks = append([]fleet.Disk{}, s.Disks...)
	return s
}
