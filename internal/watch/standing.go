package watch

import "github.com/metacircular/mcp/internal/fleet"

// Standing is how a container relates to the releases.
type Standing string

// The standings.
const (
	// Managed is a container of a release, or one that a deployment under way may
	// be about to change.
	Managed Standing = "managed"
	// Unmanaged is one that mcp has neither created nor adopted.
	Unmanaged Standing = "unmanaged"
	// Orphan is one of mcp's that belongs to no release.
	Orphan Standing = "orphan"
)

// Standings returns the standing of each container of a node, by its name.
func Standings(node string, containers []fleet.Container, services []fleet.ServiceRecord) map[string]Standing {
	busy := map[string]bool{}
	for _, s := range services {
		busy[s.Release.Service] = s.Deploying != 0 || s.Release.Retiring
	}
	containers = fleet.Recognise(node, containers, fleet.Releases(services)...)
	orphans := orphansOn(node, containers, services, busy)
	standings := map[string]Standing{}
	for _, c := range containers {
		switch {
		case c.Service == "":
			standings[c.Name] = Unmanaged
		case orphans[c.Name]:
			standings[c.Name] = Orphan
		default:
			standings[c.Name] = Managed
		}
	}
	return standings
}

// orphansOn returns the names of the containers that have mcp's labels and belong to
// no release. Those of a busy service are not among them.
func orphansOn(node string, containers []fleet.Container, services []fleet.ServiceRecord, busy map[string]bool) map[string]bool {
	explained := map[string]bool{}
	for _, s := range services {
		for _, m := range s.Release.Members() {
			if m.Node != node {
				continue
			}
			if c := fleet.FindMember(s.Release.Service, m, containers); c != nil {
				explained[c.Name] = true
			}
		}
	}
	orphans := map[string]bool{}
	for _, c := range containers {
		if c.Service != "" && !explained[c.Name] && !busy[c.Service] && c.Task.Kind != fleet.JobTask {
			orphans[c.Name] = true
		}
	}
	return orphans
}
