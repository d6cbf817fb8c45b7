package overlay

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/keypath"
)

// components is the array whose tables an environment may change, but not extend.
const components = "components"

// probes are the kinds of a health check, of which the one that an environment names
// replaces the other; httpAlone are the keys that belong to one kind alone.
var (
	probes    = []string{"http", "tcp", "cmd"}
	httpAlone = []string{"host", "headers", "status"}
)

// table merges an environment's table into one of the definition: tables by their keys,
// arrays of named tables by name. Everything else replaces what is there.
func (m *Merged) table(base, over map[string]any, key, from string) {
	if strings.HasSuffix(key, "]."+"health") {
		replaceProbe(base, over)
	}
	for _, name := range slices.Sorted(maps.Keys(over)) {
		m.value(base, name, over[name], keypath.Join(key, name), keypath.Join(from, name))
	}
}

func (m *Merged) value(base map[string]any, name string, over any, key, from string) {
	inner, isTable := base[name].(map[string]any)
	overTable, overIsTable := over.(map[string]any)
	if isTable && overIsTable {
		m.table(inner, overTable, key, from)
		return
	}
	list, isList := tables(base[name])
	overList, overIsList := tables(over)
	if id := identity(key, list, overList); isList && overIsList && (id != "" || key == components) {
		base[name] = m.list(list, overList, id, key, from)
		return
	}
	if key == components {
		m.refuse(from, "must be an array of tables, each under its own [["+from+"]]")
		return
	}
	m.origins[key] = from
	base[name] = clone(over)
}

// list merges arrays of tables by the key that distinguishes their tables.
func (m *Merged) list(list, over []map[string]any, id, key, from string) []map[string]any {
	for j, table := range over {
		at := keypath.Element(from, j)
		i := slices.IndexFunc(list, func(t map[string]any) bool { return id != "" && t[id] == table[id] })
		switch {
		case i >= 0:
			m.table(list[i], table, keypath.Element(key, i), at)
		case key == components:
			m.refuse(keypath.Join(at, "name"), unknownComponent(list, table))
		default:
			m.origins[keypath.Element(key, len(list))] = at
			list = append(list, clone(table).(map[string]any))
		}
	}
	return list
}

func unknownComponent(list []map[string]any, table map[string]any) string {
	var known []string
	for _, t := range list {
		if name, ok := t["name"].(string); ok {
			known = append(known, name)
		}
	}
	has := "the service has " + strings.Join(known, ", ")
	name, ok := table["name"].(string)
	if !ok {
		return "is required: it names the component that the environment changes; " + has
	}
	return fmt.Sprintf("the service has no component %q to change in this environment: %s", name, strings.TrimPrefix(has, "the service has "))
}

// tables returns the tables of an array of tables, in either notation of TOML.
func tables(value any) ([]map[string]any, bool) {
	switch array := value.(type) {
	case []map[string]any:
		return array, true
	case []any:
		list := make([]map[string]any, len(array))
		for i, v := range array {
			table, ok := v.(map[string]any)
			if !ok {
				return nil, false
			}
			list[i] = table
		}
		return list, len(list) > 0
	}
	return nil, false
}

// identity returns the key that distinguishes the tables of two arrays, "" for none:
// "name", or "target" for files.
func identity(key string, lists ...[]map[string]any) string {
	id := "name"
	if strings.HasSuffix(key, "].files") {
		id = "target"
	}
	if slices.ContainsFunc(slices.Concat(lists...), func(t map[string]any) bool {
		_, ok := t[id].(string)
		return !ok
	}) {
		return ""
	}
	return id
}

// replaceProbe removes from a health check what the environment's kind of probe excludes.
func replaceProbe(base, over map[string]any) {
	has := func(kind string) bool { return over[kind] != nil }
	if !slices.ContainsFunc(probes, has) {
		return
	}
	for _, kind := range probes {
		delete(base, kind)
	}
	if !has("http") {
		for _, key := range httpAlone {
			delete(base, key)
		}
	}
}
