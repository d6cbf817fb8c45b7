package overlay

import (
	"path"
	"strings"
)

// renaming gives the secrets and the named volumes of a definition the names that they
// have in an environment, so that the environments of a service share none by mistake.
type renaming struct {
	service     string
	environment Environment
}

// name returns "shop-staging-db" for "shop-db", of service shop in environment staging,
// and "db-staging" for "db".
func (r renaming) name(name string) string {
	if rest, ok := strings.CutPrefix(name, r.service); ok && r.service != "" && (rest == "" || rest[0] == '-') {
		return r.environment.Service(r.service) + rest
	}
	return name + "-" + r.environment.Name
}

// definition renames in every table that runs a container.
func (r renaming) definition(table map[string]any) {
	for _, key := range []string{components, "steps"} {
		list, _ := tables(table[key])
		for _, one := range list {
			r.container(one)
		}
	}
}

func (r renaming) container(table map[string]any) {
	if variables, ok := table["secret_env"].(map[string]any); ok {
		for variable, secret := range variables {
			variables[variable] = r.text(secret)
		}
	}
	r.array(table, "secrets", r.secret)
	r.array(table, "volumes", r.volume)
}

// array replaces each element of an array.
func (r renaming) array(table map[string]any, key string, renamed func(any) any) {
	list, ok := table[key].([]any)
	if !ok {
		all, _ := tables(table[key])
		for i := range all {
			all[i], _ = renamed(all[i]).(map[string]any)
		}
		return
	}
	for i, element := range list {
		list[i] = renamed(element)
	}
}

// secret renames a secret that becomes a file; the name of the file stays.
func (r renaming) secret(element any) any {
	switch secret := element.(type) {
	case string:
		return map[string]any{"source": r.name(secret), "target": secret}
	case map[string]any:
		if source, ok := secret["source"].(string); ok && secret["target"] == nil {
			secret["target"] = source
		}
		r.source(secret)
		return secret
	}
	return element
}

// volume renames the volume of "name:/target", or of a table; a path of the host stays.
func (r renaming) volume(element any) any {
	switch volume := element.(type) {
	case string:
		source, rest, ok := strings.Cut(volume, ":")
		if !ok || path.IsAbs(source) || source == "" {
			return volume
		}
		return r.name(source) + ":" + rest
	case map[string]any:
		if source, _ := volume["source"].(string); !path.IsAbs(source) {
			r.source(volume)
		}
		return volume
	}
	return element
}

func (r renaming) source(table map[string]any) {
	if source, ok := table["source"].(string); ok && source != "" {
		table["source"] = r.name(source)
	}
}

func (r renaming) text(value any) any {
	if text, ok := value.(string); ok && text != "" {
		return r.name(text)
	}
	return value
}
