package edge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
)

// The states of an edge.
const (
	// stateWaiting: no operator has admitted its key, so that it gets nothing.
	stateWaiting = "waiting"
	// stateAdmitted: it serves everything that it should.
	stateAdmitted = "admitted"
	// stateStale: it has not acknowledged the newest publication of some services.
	stateStale = "stale"
	// stateAway: it does not answer.
	stateAway = "away"
)

// stateOf returns the state of an edge, in one word.
func stateOf(e fleet.EdgeState, silent *fault.Error) string {
	switch {
	case e.Admitted.IsZero():
		return stateWaiting
	case silent != nil:
		return stateAway
	case len(e.Stale) > 0:
		return stateStale
	}
	return stateAdmitted
}

// shownState returns the state for a person.
func shownState(state string, stale []string) string {
	switch {
	case state == stateWaiting:
		return "waiting for admission"
	case state == stateAway && len(stale) > 0:
		return "away, stale"
	}
	return state
}

// fingerprint returns the fingerprint of a key; "-" for a text that is not a key.
func fingerprint(text string) string {
	key, err := seal.ParseKey(text)
	if err != nil {
		return "-"
	}
	return key.Fingerprint()
}

// hostPorts returns where an edge listens: the ports of routes, each with the host's
// own if that is another: "80→8080 443→8443".
func hostPorts(ports map[int]int) string {
	var list []string
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		list = append(list, fmt.Sprintf("%d→%d", port, ports[port]))
	}
	return strings.Join(list, " ")
}

// numbers renders ports: "80 443".
func numbers(ports []int) string {
	var list []string
	for _, port := range slices.Sorted(slices.Values(ports)) {
		list = append(list, fmt.Sprint(port))
	}
	return strings.Join(list, " ")
}

// orDash returns a text, or "-" if there is none.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// days renders a duration: "41 days" if it is long, or "5h12m0s" if it is not.
func days(d time.Duration) string {
	if d < 48*time.Hour && d > -48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
