package servicedef

import (
	"maps"
	"slices"
)

// SecretNames returns the podman secrets that the component needs on its node,
// sorted and without duplicates.
func (c Component) SecretNames() []string {
	names := slices.AppendSeq(slices.Clone(c.Secrets), maps.Values(c.SecretEnv))
	slices.Sort(names)
	return slices.Compact(names)
}

// secrets checks the secrets that become files and those that become variables.
func (r *report) secrets(key string, c Component) {
	const rule = "must be the name of a secret that podman has on the node, not %q"
	files := func(i int) string { return elementKey(joinKey(key, "secrets"), i) }
	r.unique(c.Secrets, files)
	for i, name := range c.Secrets {
		if !objectName().MatchString(name) {
			r.add(files(i), rule, name)
		}
	}
	variables := joinKey(key, "secret_env")
	r.env(variables, c, c.SecretEnv)
	for _, variable := range slices.Sorted(maps.Keys(c.SecretEnv)) {
		at := joinKey(variables, variable)
		if name := c.SecretEnv[variable]; !objectName().MatchString(name) {
			r.add(at, rule, name)
		}
		if _, taken := c.Env[variable]; taken {
			r.add(at, "is already set in %s", joinKey(key, "env"))
		}
	}
}
