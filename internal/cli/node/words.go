package node

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
)

// lastState is the state of a node at its last answer.
func lastState(n fleet.NodeState) nodeState {
	return nodeState{Name: n.Name, State: stateOf(n), Draining: n.Draining, Since: n.Since, Seen: n.Answered}
}

// lastStatus is the status in the last answer of a node; before the first
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

// stateOf is one word: "draining" only for a node that answers.
func stateOf(n fleet.NodeState) string {
	if n.State == fleet.NodeReady && n.Draining {
		return fleet.NodeDraining
	}
	return cmp.Or(n.State, "unknown")
}

// shownState is the state for a person, with "draining" also where the node does not
// answer.
func shownState(state string, draining bool) string {
	if draining && state != fleet.NodeDraining {
		return state + ", " + fleet.NodeDraining
	}
	return state
}

// newContainers is the answer to whether a node gets new containers.
func newContainers(draining bool) string {
	if draining {
		return "none: it is draining"
	}
	return "yes"
}

// loads renders load averages: "0.42 0.40 0.38".
func loads(averages []float64) string {
	var list []string
	for _, average := range averages {
		list = append(list, fmt.Sprintf("%.2f", average))
	}
	return strings.Join(list, " ")
}
