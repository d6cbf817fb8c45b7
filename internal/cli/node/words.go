package node

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
)

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

// sinceText is a state, and since when if that is known.
func sinceText(state string, since time.Time) string {
	if since.IsZero() {
		return state
	}
	return state + " since " + ui.Moment(since)
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
