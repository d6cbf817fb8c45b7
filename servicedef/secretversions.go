package servicedef

import (
	"maps"
	"slices"
	"strings"
)

// SecretVersion is a version of a secret of the service.
type SecretVersion struct {
	// Name is the secret's in the service. The definition may name it otherwise: see
	// Service.SecretName.
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// SecretVersions are the versions of the secrets that a container has, by the names that
// the definition gives them. A secret that is not among them is podman's own.
type SecretVersions map[string]SecretVersion

// Names returns the names that the definition gives them, sorted.
func (v SecretVersions) Names() []string { return slices.Sorted(maps.Keys(v)) }

// KeySealed stands among the keys of a component for versions of secrets, which a node
// must know.
const KeySealed = "secrets of the service"

// SecretName returns the name of the service's own secret that a component or a step names
// as reference, and whether it has one: has reports whether there is a secret of that name.
// In an environment, what the definition calls db may be db or db-staging in the service of
// the environment, as a component inherits it.
func (s Service) SecretName(reference string, has func(name string) bool) (name string, ok bool) {
	for _, name := range s.SecretCandidates(reference) {
		if has(name) {
			return name, true
		}
	}
	return "", false
}

// SecretCandidates returns the names that the service's own secret can have that the
// definition names as reference, the first one first: see SecretName.
func (s Service) SecretCandidates(reference string) []string {
	names := []string{reference}
	if s.Environment == "" {
		return names
	}
	base := strings.TrimSuffix(s.Name, "-"+s.Environment)
	if rest, own := strings.CutPrefix(reference, base); own && (rest == "" || rest[0] == '-') {
		names = append(names, s.Name+rest)
	} else {
		names = append(names, reference+"-"+s.Environment)
	}
	if rest, own := strings.CutPrefix(reference, s.Name); own && (rest == "" || rest[0] == '-') {
		names = append(names, base+rest)
	}
	if name, inherited := strings.CutSuffix(reference, "-"+s.Environment); inherited {
		names = append(names, name)
	}
	return slices.Compact(names)
}

// WithSecrets returns the service with other versions of secrets: those that choose
// returns for a component or a step, given its versions and the names of its secrets.
func (s Service) WithSecrets(choose func(user string, has SecretVersions, names []string) SecretVersions) Service {
	s.Components, s.Steps = slices.Clone(s.Components), slices.Clone(s.Steps)
	for i := range s.Components {
		c := &s.Components[i]
		c.Versions = choose(c.Name, c.Versions, c.SecretNames())
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		step.Versions = choose(step.Name, step.Versions, s.StepComponent(*step).SecretNames())
	}
	return s
}

// WithoutSecrets returns the service without versions of secrets.
func (s Service) WithoutSecrets() Service {
	return s.WithSecrets(func(string, SecretVersions, []string) SecretVersions { return nil })
}

// HasSecrets reports whether the service has versions of secrets.
func (s Service) HasSecrets() bool {
	return slices.ContainsFunc(s.Components, func(c Component) bool { return len(c.Versions) > 0 }) ||
		slices.ContainsFunc(s.Steps, func(step Step) bool { return len(step.Versions) > 0 })
}
