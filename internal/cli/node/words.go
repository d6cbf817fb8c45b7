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

// fingerprint returns the fingerprint of a node's key, the short form that people compare; ""
// for none.
func fingerprint(key string) string {
	parsed, err := seal.ParseKey(key)
	if err != nil {
		return ""
	}
	return parsed.Fingerprint()
}

// shortKey returns the beginning of a fingerprint, for a table; "-" for none.
func shortKey(fingerprint string) string {
	if fingerprint == "" {
		return "-"
	}
	return fingerprint[:min(len(fingerprint), 9)] + "…"
}

// stateOf returns one word: "draining" only for a node that answers.
func stateOf(n fleet.NodeState) string {
	if n.State == fleet.NodeReady && n.Draining {
		return fleet.NodeDraining
	}
	return cmp.Or(n.State, "unknown")
}

// shownState returns the state for a person, with "draining" even if the node does not
// answer. UnknownSince is since when nothing has been known of the node; "" if its state is
// known.
func shownState(state string, draining bool, unknownSince string) string {
	if draining && state != fleet.NodeDraining {
		state += ", " + fleet.NodeDraining
	}
	if unknownSince != "" {
		state += " (not observed since " + unknownSince + ")"
	}
	return state
}

// sinceText returns a state, and since when if that is known.
func sinceText(state string, since time.Time) string {
	if since.IsZero() {
		return state
	}
	return state + " since " + ui.Moment(since)
}

// overdueSince returns when a node was last observed, if the next observation is late.
func overdueSince(overdue bool, observed time.Time) string {
	switch {
	case !overdue:
		return ""
	case observed.IsZero():
		return "its worker started"
	}
	return ui.Moment(observed)
}

// reasonOf returns why a node is unreachable, or lets nothing new run; "" if neither is so.
func reasonOf(n fleet.NodeState) string {
	for _, d := range n.Drift {
		if d.Kind == fleet.DriftUnreachable || d.Kind == fleet.DriftPolicy {
			return d.Detail
		}
	}
	return ""
}

// newContainers returns the answer to whether a node gets new containers.
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
