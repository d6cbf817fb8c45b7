// Package overlay applies the environments of a definition to it, as tables of TOML. It
// interprets the few keys that concern names; what a table means is up to its caller.
package overlay

import (
	"maps"
	"slices"

	"github.com/metacircular/mcp/servicedef/keypath"
)

// Key is the table that holds environments, beside the variables of the service: the
// value of an environment is a table, and that of a variable is not.
const Key = "env"

// Environment is a table of a definition that changes the rest of it.
type Environment struct {
	Name  string
	Table map[string]any
}

// At returns the key of the environment.
func (e Environment) At() string { return keypath.Join(Key, e.Name) }

// Service returns the name of a service in the environment.
func (e Environment) Service(name string) string { return name + "-" + e.Name }

// Cut removes the environments of a definition from it, and returns them by name.
func Cut(definition map[string]any) []Environment {
	shared, ok := definition[Key].(map[string]any)
	if !ok {
		return nil
	}
	var found []Environment
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		if table, ok := shared[name].(map[string]any); ok {
			found = append(found, Environment{name, table})
			delete(shared, name)
		}
	}
	if len(found) > 0 && len(shared) == 0 {
		delete(definition, Key)
	}
	return found
}

// Problem is a mistake in an environment.
type Problem struct{ Key, Message string }

// Merged is a definition in an environment.
type Merged struct {
	Table    map[string]any
	Problems []Problem
	// origins maps keys of Table to the keys of the environment that their values come
	// from.
	origins map[string]string
}

// Apply returns a definition in the environment. Secrets and named volumes that it
// inherits get names of their own; see rename.
func (e Environment) Apply(definition map[string]any) *Merged {
	m := &Merged{Table: clone(definition).(map[string]any), origins: map[string]string{}}
	name, _ := definition["name"].(string)
	renaming{name, e}.definition(m.Table)
	over := maps.Clone(e.Table)
	if _, named := over["name"]; named {
		m.refuse(keypath.Join(e.At(), "name"), "must be left out: the service is "+e.Service(name)+" in this environment")
		delete(over, "name")
	}
	m.table(m.Table, over, "", e.At())
	m.Table["name"] = e.Service(name)
	return m
}

// Origin returns the key of the environment that the value of a key of Table comes from.
// Inherited reports whether it comes from the definition, which has it under that key.
func (m *Merged) Origin(key string) (origin string, inherited bool) {
	for k := key; k != ""; k = keypath.Parent(k) {
		if from, ok := m.origins[k]; ok {
			return from + key[len(k):], false
		}
	}
	return key, true
}

func (m *Merged) refuse(key, message string) {
	m.Problems = append(m.Problems, Problem{key, message})
}

// clone copies tables and arrays.
func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		table := make(map[string]any, len(v))
		for name, inner := range v {
			table[name] = clone(inner)
		}
		return table
	case []map[string]any:
		tables := make([]map[string]any, len(v))
		for i, inner := range v {
			tables[i] = clone(inner).(map[string]any)
		}
		return tables
	case []any:
		array := make([]any, len(v))
		for i, inner := range v {
			array[i] = clone(inner)
		}
		return array
	}
	return value
}
