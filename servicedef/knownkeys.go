package servicedef

import (
	"reflect"
	"slices"
)

// Keys returns the keys of the component's table whose values differ from their defaults,
// sorted: "read_only", "health.http". A key of an array of tables stands for those of all
// its tables: "routes.port". Keys that concern edges alone are left out, and versions of
// secrets are KeySealed.
func (c Component) Keys() []string {
	defaults := Component{Node: c.Node}
	defaults.setDefaults(c.Node, nil)
	var set []string
	c = c.ForNode()
	walkKeys(reflect.ValueOf(c), reflect.ValueOf(defaults), "", func(key string, changed bool) {
		if changed {
			set = append(set, key)
		}
	})
	if len(c.Versions) > 0 {
		set = append(set, KeySealed)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// ForNode returns the component as its node needs it, without what concerns edges alone:
// a node that is older than such a key runs the container nevertheless.
func (c Component) ForNode() Component {
	c.Routes = slices.Clone(c.Routes)
	for i, r := range c.Routes {
		c.Routes[i] = Route{
			Name: r.Name, Port: r.Port, Mode: r.Mode, Hostname: hostnames(r.Hostname.plain()),
			Protocol: r.Protocol, ContainerPort: r.ContainerPort,
		}
	}
	return c
}

// UnknownKeys returns the keys that no component of this version of mcp has.
func UnknownKeys(keys []string) (unknown []string) {
	known := map[string]bool{KeySteps: true, KeySealed: true}
	all := reflect.ValueOf(Component{
		Routes: make([]Route, 1), Secrets: []Secret{{Target: "x"}}, Container: Container{Files: make([]File, 1)},
	})
	walkKeys(all, all, "", func(key string, _ bool) { known[key] = true })
	for _, key := range keys {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	return unknown
}

// walkKeys calls visit for each key of a table, and for those of the tables in it;
// changed reports whether its value differs from that in defaults.
func walkKeys(table, defaults reflect.Value, prefix string, visit func(key string, changed bool)) {
	for _, field := range fieldsOf(table.Type()) {
		key := prefix + field.Tag.Get("toml")
		value, former := table.FieldByIndex(field.Index), defaults.FieldByIndex(field.Index)
		switch {
		case value.Kind() == reflect.Struct:
			walkKeys(value, former, key+".", visit)
		case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
			if !isTable(value.Type().Elem()) {
				visit(key, value.Len() > 0)
			}
			for n := range value.Len() {
				if secret, ok := value.Index(n).Interface().(Secret); ok && secret.plain() {
					continue
				}
				walkKeys(value.Index(n), reflect.Zero(value.Type().Elem()), key+".", visit)
			}
		default:
			visit(key, !reflect.DeepEqual(value.Interface(), former.Interface()))
		}
	}
}
