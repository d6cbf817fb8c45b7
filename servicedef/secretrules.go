package servicedef

import (
	"maps"
	"path"
	"slices"

	"github.com/metacircular/mcp/servicedef/names"
)

// secrets checks the secrets that become files and those that become variables.
func (r *report) secrets(key string, c Component) {
	const rule = "must be the name of a secret, of letters, digits, '.', '-' and '_', not %q"
	for i, secret := range c.Secrets {
		at := elementKey(joinKey(key, "secrets"), i)
		field := func(name string) string {
			if secret.plain() {
				return at
			}
			return joinKey(at, name)
		}
		if !names.IsObject(secret.Source) {
			r.add(field("source"), rule, secret.Source)
			continue
		}
		switch target := secret.Target; {
		case target == "":
		case path.IsAbs(target) && path.Clean(target) != target, !path.IsAbs(target) && !names.IsObject(target):
			r.add(field("target"), "must be the name of a file in %s, or an absolute path without . and .., not %q", secretsDir, target)
		}
		r.ownership(at, secret.UID, secret.GID, secret.Mode)
	}
	r.unique(secretSources(c.Secrets), func(i int) string { return elementKey(joinKey(key, "secrets"), i) })
	variables := joinKey(key, "secret_env")
	r.env(variables, c, c.SecretEnv)
	for _, variable := range slices.Sorted(maps.Keys(c.SecretEnv)) {
		at := joinKey(variables, variable)
		if name := c.SecretEnv[variable]; !names.IsObject(name) {
			r.add(at, rule, name)
		}
		if _, taken := c.Env[variable]; taken {
			r.add(at, "is already set in %s", joinKey(key, "env"))
		}
	}
}
