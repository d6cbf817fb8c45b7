package watch

import (
	"cmp"
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
)

// Revive returns the containers of a release to start after a boot of their node,
// dependencies first. Each should run, and has a restart policy that outlasts a
// boot; "no" and "on-failure" do not, as with podman and Docker.
func Revive(release fleet.Release, node string, containers []fleet.Container) []fleet.Ref {
	waves, ids := release.Waves(), map[string]string{}
	var members []fleet.Member
	for _, c := range containers {
		member := release.Components[c.Component]
		if c.Name == member.Container && release.Has(node, c) && member.Active && !c.Running && outlastsBoot(release, member) {
			members = append(members, member)
			ids[c.Name] = c.ID
		}
	}
	slices.SortFunc(members, func(a, b fleet.Member) int {
		return cmp.Or(cmp.Compare(waves[a.Component], waves[b.Component]), cmp.Compare(a.Component, b.Component))
	})
	var stopped []fleet.Ref
	for _, m := range members {
		stopped = append(stopped, fleet.Ref{Name: m.Container, ID: ids[m.Container]})
	}
	return stopped
}

// outlastsBoot reports whether a component's restart policy is one that starts
// it after a boot.
func outlastsBoot(release fleet.Release, member fleet.Member) bool {
	if release.Definition == nil {
		return false
	}
	c, defined := release.Definition.Component(member.Component)
	return defined && (c.Restart == "always" || c.Restart == "unless-stopped")
}
