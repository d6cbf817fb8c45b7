package watch

import (
	"fmt"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// publishing is how old a publication is when whoever made it has also sent it to the
// edges, or has given up. An edge that lacks a newer one is not stale yet.
const publishing = 30 * time.Second

// AssessEdge decides what follows from an observation of an edge: the drift that has
// begun or ended, and the services to publish to it again.
func AssessEdge(e fleet.EdgeEvidence) fleet.EdgeFindings {
	var found fleet.EdgeFindings
	drift := edgeDrift(e)
	for _, before := range e.Open {
		if slices.ContainsFunc(drift, before.Same) {
			found.Open = append(found.Open, before)
			continue
		}
		ended := edgeEvent(e.Observation, before.Drift, before.Since)
		ended.Ended = true
		if ended.Kind == fleet.DriftUnreachable {
			ended.Kind = fleet.DriftBack
		}
		found.Events = append(found.Events, ended)
	}
	for _, d := range drift {
		if slices.ContainsFunc(e.Open, func(before fleet.OpenDrift) bool { return before.Same(d) }) {
			continue
		}
		since := e.Observation.At
		if d.Kind == fleet.DriftUnreachable {
			since = e.Seen
		}
		found.Open = append(found.Open, fleet.OpenDrift{Drift: d, Since: since})
		found.Events = append(found.Events, edgeEvent(e.Observation, d, since))
	}
	if e.Observation.Status != nil {
		found.Missing, found.Remake = differing(e, *e.Observation.Status)
	}
	return found
}

// mostRemade bounds the publications that one observation makes again.
const mostRemade = 100

// differing returns the services of which an edge lacks the newest publication, and those
// that need a newer one: the edge has one that a registry restored from a backup has lost,
// or a deployment that has left out part of the release has ended. A service that the
// registry does not have goes on being served: it may well run.
func differing(e fleet.EdgeEvidence, status fleet.EdgeStatus) (missing, remake []string) {
	for _, w := range e.Wanted {
		switch has := status.Versions[w.Service]; {
		case has > w.Version, w.Interim:
			remake = append(remake, w.Service)
		case has < w.Version && late(e, w):
			missing = append(missing, w.Service)
		}
	}
	return missing, remake[:min(len(remake), mostRemade)]
}

// late reports whether no one who made a publication is about to send it to the edge.
func late(e fleet.EdgeEvidence, w fleet.WantedVersion) bool {
	return w.Age >= publishing || slices.ContainsFunc(e.Open, func(open fleet.OpenDrift) bool {
		return open.Kind == fleet.DriftStaleEdge && open.Service == w.Service
	})
}

// edgeDrift returns how an edge differs from what it should serve. What can be seen only
// in its status stays as it was while it does not answer.
func edgeDrift(e fleet.EdgeEvidence) []fleet.Drift {
	var found []fleet.Drift
	o := e.Observation
	for _, w := range e.Wanted {
		has := w.Acknowledged
		if o.Status != nil {
			has = max(has, o.Status.Versions[w.Service])
		}
		if has < w.Version && late(e, w) {
			found = append(found, stale(w.Service, "it has not acknowledged the newest routes"))
		}
	}
	if o.Status == nil {
		if o.At.Sub(e.Seen) >= awayAfter {
			found = append(found, fleet.Drift{Kind: fleet.DriftUnreachable, Detail: o.Problem})
		}
		for _, open := range e.Open {
			lasts := open.Kind == fleet.DriftCertificate || open.Kind == fleet.DriftUnreachable
			if lasts && !slices.ContainsFunc(found, open.Same) {
				found = append(found, open.Drift)
			}
		}
		return found
	}
	for _, c := range o.Status.Certificates {
		failed := fleet.Drift{Kind: fleet.DriftCertificate, Hostname: c.Hostname, Detail: c.Problem}
		if c.Problem != "" && !slices.ContainsFunc(found, failed.Same) {
			found = append(found, failed)
		}
	}
	return found
}

// awayAfter is how long an edge must not have answered to be unreachable: one that is
// restarted, for example for a new version, is away for seconds.
const awayAfter = 30 * time.Second

// StaleEdges returns the drift and the events of edges that have not acknowledged a
// publication.
func StaleEdges(misses []fleet.EdgeMiss, now time.Time) []fleet.Event {
	var events []fleet.Event
	for _, m := range misses {
		o := fleet.EdgeObservation{Edge: m.Edge, At: now}
		events = append(events, edgeEvent(o, stale(m.Service, fmt.Sprintf("it has not acknowledged the newest routes: %s", m.Problem)), now))
	}
	return events
}

func stale(service, detail string) fleet.Drift {
	return fleet.Drift{Kind: fleet.DriftStaleEdge, Service: service, Detail: detail}
}

func edgeEvent(o fleet.EdgeObservation, d fleet.Drift, since time.Time) fleet.Event {
	return fleet.Event{At: o.At, Edge: o.Edge, Drift: d, Since: since}
}
