package plan

import (
	"cmp"
	"slices"
)

// Revive are the containers of a release to start after a boot of their node,
// those first that others depend on: each runs by its release, and its restart
// policy outlasts a boot. The policies "no" and "on-failure" do not, as with
// podman and Docker.
func Revive(release Release, node string, containers []Container) []string {
	waves := wavesOf(release.Definition)
	var members []ReleaseMember
	for _, c := range containers {
		member := release.Components[c.Component]
		if c.Name == member.Container && isCommitted(release, node, c) && member.Active && !c.Running && outlastsBoot(release, member) {
			members = append(members, member)
		}
	}
	slices.SortFunc(members, func(a, b ReleaseMember) int {
		return cmp.Or(cmp.Compare(waves[a.Component], waves[b.Component]), cmp.Compare(a.Component, b.Component))
	})
	var names []string
	for _, m := range members {
		names = append(names, m.Container)
	}
	return names
}

// outlastsBoot reports whether a component's restart policy is one that starts
// it after a boot.
func outlastsBoot(release Release, member ReleaseMember) bool {
	if release.Definition == nil {
		return false
	}
	c, known := release.Definition.Component(member.Component)
	return known && (c.Restart == "always" || c.Restart == "unless-stopped")
}
