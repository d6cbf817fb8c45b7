package watch

import (
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Settling is added to the age of an observation: a deployment that ended within that
// time before the observation began counts as still under way then.
const Settling = time.Second

// Assess decides what follows from an observation: the node's state, the drift
// that has begun or ended, and the releases to deploy again.
func Assess(e fleet.Evidence) fleet.Findings {
	o := e.Observation
	o.Containers = withRestarts(o, e.Before)
	busy := busyServices(e.Deployments)
	drift := FindDrift(o, e.Services, busy, e.Open)
	changes, open := Events(o, drift, busy, e.Open)
	acts, heal := Heal(o, drift, e.Services, e.Healed)
	state, since := stateOf(o)
	return fleet.Findings{
		State: state, Since: since, Containers: o.Containers,
		Events: slices.Concat(changes, acts), Open: open, Heal: heal,
	}
}

// stateOf returns the state of an observed node and when that began; "" for the first
// observation without an answer, which does not change the state.
func stateOf(o fleet.Observation) (state string, since time.Time) {
	switch {
	case unreachable(o):
		return fleet.NodeUnreachable, o.Unanswered
	case o.Problem != "":
		return "", o.At
	}
	return fleet.NodeReady, o.At
}

// busyServices returns those that a deployment was changing while the node was
// observed.
func busyServices(deployments []fleet.RecentDeployment) map[string]bool {
	busy := map[string]bool{}
	for _, d := range deployments {
		busy[d.Service] = true
	}
	return busy
}

// withRestarts returns the observed containers with their recent restarts.
func withRestarts(o fleet.Observation, before map[string]fleet.Container) []fleet.Container {
	containers := slices.Clone(o.Containers)
	for i := range containers {
		c := &containers[i]
		if old, found := before[c.ID]; found {
			c.Restarted = Restarts(&old, *c, o.At)
		}
	}
	return containers
}
