package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// releasedOn is a component as a release runs it on a node; empty if it does not.
func releasedOn(release fleet.Release, component, node string) servicedef.Component {
	if release.Definition == nil || release.Components[component].Node != node {
		return servicedef.Component{}
	}
	c, _ := release.Definition.Component(component)
	return c
}

// InOrder returns containers of a release in the order in which a deploy starts them.
func InOrder(release fleet.Release, containers []fleet.Ref) []fleet.Ref {
	waves, wave := release.Waves(), map[string]int{}
	for _, m := range release.Members() {
		wave[m.Container] = waves[m.Component]
	}
	ordered := slices.Clone(containers)
	slices.SortFunc(ordered, func(a, b fleet.Ref) int {
		return cmp.Or(cmp.Compare(wave[a.Name], wave[b.Name]), strings.Compare(a.Name, b.Name))
	})
	return ordered
}
