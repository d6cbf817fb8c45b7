package plan

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Merge returns the definition that results from a deploy of some components: the
// release's, with those components as in the new definition. Without a release, or
// after an undeploy, it is the new definition.
func Merge(released *servicedef.Service, desired servicedef.Service, only []string) servicedef.Service {
	if released == nil || len(released.Components) == 0 || len(only) == 0 {
		return desired
	}
	merged := desired
	merged.Active = released.Active // the other components are kept
	merged.Components = slices.Clone(released.Components)
	for _, c := range desired.Components {
		if !slices.Contains(only, c.Name) {
			continue
		}
		i := slices.IndexFunc(merged.Components, func(old servicedef.Component) bool { return old.Name == c.Name })
		if i < 0 {
			merged.Components = append(merged.Components, c)
			continue
		}
		merged.Components[i] = c
	}
	return merged.Sourced(*released, desired)
}

// Undeployed returns the definition that results from an undeploy: the service
// without a component. A deploy to it removes every component of the release.
func Undeployed(release fleet.Release) servicedef.Service {
	definition := servicedef.Service{Name: release.Service, Components: []servicedef.Component{}}
	if release.Definition != nil {
		definition.Node = release.Definition.Node
	}
	return definition
}

// Members returns the components of the release that a plan leads to: those that
// were started, and those that are kept, with the image reference and the routes of
// the new definition.
func Members(desired servicedef.Service, release fleet.Release, made Plan, started map[string]fleet.Member) []fleet.Member {
	var members []fleet.Member
	for _, step := range made.Steps {
		member, ok := started[step.Component]
		if !ok {
			member, ok = release.Components[step.Component]
		}
		if !ok || step.Action == Remove {
			continue
		}
		if !made.Active {
			member.Active = false
		}
		if c, wanted := desired.Component(step.Component); wanted && member.Active {
			member.Image = c.Image
			member.Routes = redefined(member.Routes, c.Routes)
		}
		members = append(members, member)
	}
	return members
}

// redefined returns routes with their host ports and, for the rest, as in the new
// definition.
func redefined(held []fleet.Route, defined []servicedef.Route) []fleet.Route {
	routes := make([]fleet.Route, 0, len(held))
	for _, h := range held {
		for _, r := range defined {
			if r.Name == h.Name {
				h = fleet.NewRoute(r, h.HostPort)
			}
		}
		routes = append(routes, h)
	}
	return routes
}
