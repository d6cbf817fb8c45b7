package watch

import (
	"fmt"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

const (
	// healTries is how often a release is deployed again within HealWindow.
	healTries = 5
	// HealWindow is how long one of these deploys counts.
	HealWindow = time.Hour
	// healPause is the pause after the first of them; it doubles with each.
	healPause = 30 * time.Second
)

// healed are the kinds of drift that a deploy of the release ends.
var healed = []fleet.DriftKind{fleet.DriftMissing, fleet.DriftStopped, fleet.DriftUnnamed}

// Heal decides which releases are deployed again: those of services with reconcile =
// true of which a container is missing, does not run, or has lost its names. Past are the events of
// healing within the last HealWindow, oldest first.
func Heal(o fleet.Observation, found []fleet.Drift, services []fleet.ServiceRecord, past []fleet.Event) (events []fleet.Event, heal []fleet.Healing) {
	for _, s := range services {
		definition := s.Release.Definition
		mending := s.Release.Dirty && s.Lost == 0 // nothing mends what a lost deployment has left
		if definition == nil || !definition.Reconcile || !s.Release.Active || mending {
			continue
		}
		i := slices.IndexFunc(found, func(d fleet.Drift) bool {
			return d.Service == s.Release.Service && slices.Contains(healed, d.Kind)
		})
		if i < 0 {
			continue
		}
		tried, last := 0, fleet.Event{}
		for _, e := range past {
			if e.Service != s.Release.Service || o.At.Sub(e.At) >= HealWindow {
				continue
			}
			if last = e; e.Kind == fleet.EventReconcile {
				tried++
			}
		}
		act := fleet.Event{At: o.At, Node: o.Node, Since: o.At, Drift: found[i]}
		switch {
		case tried >= healTries && last.Kind == fleet.EventLeftAlone:
			continue
		case tried >= healTries:
			act.Kind = fleet.EventLeftAlone
			act.Detail = fmt.Sprintf("%s, and %d deploys within %s have not helped", found[i].Kind, tried, HealWindow)
		case tried > 0 && o.At.Sub(last.At) < healPause<<(tried-1):
			continue
		default:
			act.Kind = fleet.EventReconcile
			act.Detail = fmt.Sprintf("%s: deploying release %d again, %d of at most %d within %s",
				found[i].Kind, s.Release.Number, tried+1, healTries, HealWindow)
			heal = append(heal, fleet.Healing{Service: s.Release.Service, Release: s.Release.Number})
		}
		events = append(events, act)
	}
	return events, heal
}
