package servicedef

import (
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/envvalue"
)

// SecretNames returns the secrets that the component needs on its node, sorted and
// without duplicates: those that become files and variables, and those in values of env.
func (c Component) SecretNames() []string {
	names := envvalue.Secrets(c.Env)
	for _, secret := range c.Secrets {
		names = append(names, secret.Source)
	}
	names = slices.AppendSeq(names, maps.Values(c.SecretEnv))
	slices.Sort(names)
	return slices.Compact(names)
}

// ComposedNames returns those of SecretNames that stand in values of env: their values are
// put together on the node.
func (c Component) ComposedNames() []string {
	names := envvalue.Secrets(c.Env)
	slices.Sort(names)
	return slices.Compact(names)
}

// SecretName returns the name of the service's own secret that a component or a step names
// as reference, and whether there is one: has reports whether there is a secret of that
// name. In an environment, what the definition calls db may be db or db-staging in the
// service of the environment, as a component inherits it.
func (s Service) SecretName(reference string, has func(name string) bool) (name string, ok bool) {
	for _, name := range s.SecretCandidates(reference) {
		if has(name) {
			return name, true
		}
	}
	return "", false
}

// SecretCandidates returns the names that the service's own secret can have if the
// definition names it as reference, in the order in which SecretName tries them.
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
