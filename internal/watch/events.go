package watch

import (
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Events returns the events of an observation: the beginning of each drift that it
// found and that was not open, and the end of each that was open and that it did not
// find. Drift does not end while it cannot be observed: on a node that did not
// answer, and of a busy service. Still is what is open from now on.
func Events(o fleet.Observation, found []fleet.Drift, busy map[string]bool, open []fleet.OpenDrift) (events []fleet.Event, still []fleet.OpenDrift) {
	for _, before := range open {
		if o.Problem != "" || busy[before.Service] || slices.ContainsFunc(found, before.Same) {
			still = append(still, before)
			continue
		}
		ended := fleet.Event{At: o.At, Node: o.Node, Drift: before.Drift, Ended: true, Since: before.Since}
		if ended.Kind == fleet.DriftUnreachable {
			ended.Kind = fleet.DriftBack
		}
		events = append(events, ended)
	}
	for _, d := range found {
		if slices.ContainsFunc(open, func(before fleet.OpenDrift) bool { return before.Same(d) }) {
			continue
		}
		since := o.At
		if d.Kind == fleet.DriftUnreachable {
			since = o.Unanswered
		}
		still = append(still, fleet.OpenDrift{Drift: d, Since: since})
		events = append(events, fleet.Event{At: o.At, Node: o.Node, Drift: d, Since: since})
	}
	return events, still
}

// Restarts returns when the recent restarts of a container were noticed. Before is
// the container in the last observation; nil if it was not there. A restart that the
// engine does not count changes the time at which the container was started.
func Restarts(before *fleet.Container, c fleet.Container, now time.Time) []time.Time {
	if before == nil {
		return nil
	}
	noticed := slices.DeleteFunc(slices.Clone(before.Restarted), func(t time.Time) bool { return now.Sub(t) >= FlapWindow })
	n := c.Restarts - before.Restarts
	const same = time.Millisecond // the registry stores times with less precision than the engine
	if n <= 0 && !before.Started.IsZero() && c.Started.Sub(before.Started) > same {
		n = 1
	}
	for range min(n, flaps) {
		noticed = append(noticed, now)
	}
	return noticed[max(0, len(noticed)-flaps):]
}
