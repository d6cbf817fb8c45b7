// Package versions decides which versions of its own secrets a service has. It is pure, as
// plan is.
package versions

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Newest returns the service with the newest versions of its own secrets, for the
// chosen components and the steps that run; the others keep theirs.
func Newest(s servicedef.Service, release fleet.Release, chosen func(component string) bool) servicedef.Service {
	if len(release.Secrets) == 0 && !s.HasSecrets() {
		return s
	}
	return s.WithSecrets(func(user string, has servicedef.SecretVersions, names []string) servicedef.SecretVersions {
		if _, isStep := s.Step(user); !isStep && !chosen(user) {
			return has
		}
		return newest(s, release, names)
	})
}

// newest returns the newest versions of those of the names that the service has secrets
// for.
func newest(s servicedef.Service, release fleet.Release, names []string) servicedef.SecretVersions {
	var versions servicedef.SecretVersions
	for _, reference := range names {
		name, own := s.SecretName(reference, func(name string) bool { return release.Secrets[name].Newest > 0 })
		if !own {
			continue
		}
		if versions == nil {
			versions = servicedef.SecretVersions{}
		}
		versions[reference] = servicedef.SecretVersion{Name: name, Version: release.Secrets[name].Newest}
	}
	return versions
}

// Rotated returns the release's definition with the newest version of one secret,
// and the names of the components that have it: none if that changes nothing.
func Rotated(release fleet.Release, secret string) (definition servicedef.Service, components []string) {
	definition = release.Definition.WithSecrets(func(user string, has servicedef.SecretVersions, names []string) servicedef.SecretVersions {
		versions := servicedef.SecretVersions{}
		for reference, v := range has {
			versions[reference] = v
		}
		used := false
		for reference, v := range newest(*release.Definition, release, names) {
			if v.Name == secret {
				versions[reference], used = v, true
			}
		}
		if _, isComponent := release.Definition.Component(user); used && isComponent {
			components = append(components, user)
		}
		if len(versions) == 0 {
			return nil
		}
		return versions
	})
	return definition, components
}

// Signers returns the signers of the versions of secrets that components on a node need.
func Signers(release fleet.Release, components []servicedef.Component) []string {
	var signers []string
	for _, c := range components {
		for _, reference := range c.Versions.Names() {
			v := c.Versions[reference]
			if kept, found := release.Secrets[v.Name].Versions[v.Version]; found && !slices.Contains(signers, kept.Signer) {
				signers = append(signers, kept.Signer)
			}
		}
	}
	slices.Sort(signers)
	return signers
}
