package plan

import "github.com/metacircular/mcp/servicedef"

// Undeployed is the definition that an undeploy brings about: the service
// without a component. A deploy to it removes all that the release has.
func Undeployed(release Release) servicedef.Service {
	definition := servicedef.Service{Name: release.Service, Components: []servicedef.Component{}}
	if release.Definition != nil {
		definition.Node = release.Definition.Node
	}
	return definition
}

// redefines reports whether the release's definition is not the desired one.
// What was never released, and shall have no component, stays as it is.
func redefines(desired servicedef.Service, release Release) bool {
	if release.Definition == nil {
		return len(desired.Components) > 0
	}
	return release.Definition.Hash() != desired.Hash()
}

// wavesOf gives the wave in which each component of a definition was started.
func wavesOf(definition *servicedef.Service) map[string]int {
	waves := map[string]int{}
	if definition == nil {
		return waves
	}
	for wave, names := range definition.StartOrder() {
		for _, name := range names {
			waves[name] = wave
		}
	}
	return waves
}
