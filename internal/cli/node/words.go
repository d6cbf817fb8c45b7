package node

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
)

// fingerprint is that of a node's key, of which it is the short form that people compare;
// "" for none.
func fingerprint(key string) string {
	parsed, err := seal.ParseKey(key)
	if err != nil {
		return ""
	}
	return parsed.Fingerprint()
}

// shortKey is the beginning of a fingerprint, for a table; "-" for none.
func shortKey(fingerprint string) string {
	if fingerprint == "" {
		return "-"
	}
	return fingerprint[:min(len(fingerprint), 9)] + "…"
}

// stateOf is one word: "draining" only for a node that answers.
func stateOf(n fleet.NodeState) string {
	if n.State == fleet.NodeReady && n.Draining {
		return fleet.NodeDraining
	}
	return cmp.Or(n.State, "unknown")
}

// shownState is the state for a person, with "draining" also where the node does not
// answer, and with since when nothing has been known of the node; "" where that is known.
func shownState(state string, draining bool, unknownSince string) string {
	if draining && state != fleet.NodeDraining {
		state += ", " + fleet.NodeDraining
	}
	if unknownSince != "" {
		state += " (not observed since " + unknownSince + ")"
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

// overdueSince is when a node was last observed, where the next observation is late.
func overdueSince(overdue bool, observed time.Time) string {
	switch {
	case !overdue:
		return ""
	case observed.IsZero():
		return "its worker started"
	}
	return ui.Moment(observed)
}

// reasonOf is why a node is unreachable, or lets nothing new run; "" for one of which neither
// is so.
func reasonOf(n fleet.NodeState) string {
	for _, d := range n.Drift {
		if d.Kind == fleet.DriftUnreachable || d.Kind == fleet.DriftPolicy {
			return d.Detail
		}
	}
	return ""
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
