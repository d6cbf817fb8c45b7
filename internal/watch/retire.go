package watch

import (
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// NotRetired returns the events of a release that could not remove all of its
// predecessors: one for each node.
func NotRetired(service string, left []fleet.NotRetired, at time.Time) []fleet.Event {
	var events []fleet.Event
	for _, l := range left {
		detail := l.Problem
		if len(l.Containers) > 0 {
			detail = strings.Join(l.Containers, ", ") + ": " + l.Problem
		}
		drift := fleet.Drift{Kind: fleet.EventNotRetired, Service: service, Detail: detail}
		events = append(events, fleet.Event{At: at, Since: at, Node: l.Node, Drift: drift})
	}
	return events
}

// StepsFailed returns the events of the steps because of which a deployment has failed.
func StepsFailed(service string, failed []fleet.FailedStep, at time.Time) []fleet.Event {
	var events []fleet.Event
	for _, f := range failed {
		drift := fleet.Drift{Kind: fleet.EventStepFailed, Service: service, Component: f.Step, Detail: f.Detail}
		events = append(events, fleet.Event{At: at, Since: at, Node: f.Node, Drift: drift})
	}
	return events
}
