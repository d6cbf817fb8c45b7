package watch

import (
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Events are what a look at a node tells anew: each drift that it found and
// that was not open, and the end of each that was open and that it did not
// find. An end is told only of what the look can speak for: of no container of
// a node that did not answer, and of no service that is busy. Still is what is
// open from now on.
func Events(o fleet.Observation, found []fleet.Drift, busy map[string]bool, open []fleet.OpenDrift) (events []fleet.Event, still []fleet.OpenDrift) {
	for _, known := range open {
		if o.Problem != "" || busy[known.Service] || slices.ContainsFunc(found, known.Same) {
			still = append(still, known)
			continue
		}
		ended := fleet.Event{At: o.At, Node: o.Node, Drift: known.Drift, Ended: true, Since: known.Since}
		if ended.Kind == fleet.DriftUnreachable {
			ended.Kind = fleet.DriftBack
		}
		events = append(events, ended)
	}
	for _, d := range found {
		if slices.ContainsFunc(open, func(known fleet.OpenDrift) bool { return known.Same(d) }) {
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

// Restarts is when the restarts of a container were noticed that count at now,
// given how it was found before; nil if it was not. A restart that is not the
// engine's own shows in when the container was started.
func Restarts(before *fleet.Container, c fleet.Container, now time.Time) []time.Time {
	if before == nil {
		return nil
	}
	noticed := slices.DeleteFunc(slices.Clone(before.Restarted), func(t time.Time) bool { return now.Sub(t) >= FlapWindow })
	n := c.Restarts - before.Restarts
	const same = time.Millisecond // the registry keeps a time less exactly than the engine
	if n <= 0 && !before.Started.IsZero() && c.Started.Sub(before.Started) > same {
		n = 1
	}
	for range min(n, flaps) {
		noticed = append(noticed, now)
	}
	return noticed[max(0, len(noticed)-flaps):]
}
