package compose

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/servicedef/composekeys"
)

// field is a value of a definition, and what it was made from.
type field struct {
	value any
	from  *source.Node
	// key is the place of from, "services.web.ports[2]".
	key string
}

// component is a service of Compose that becomes a component.
type component struct {
	im        *importing
	node      *source.Node
	key, name string
	fields    map[string]field
	lists     map[string][]field
	maps      map[string]map[string]field
}

// set sets a key of the component.
func (c *component) set(key string, value any, from *source.Node, at string) {
	c.fields[key] = field{value, from.Take(), c.key + "." + at}
}

// add adds an element to an array of the component.
func (c *component) add(key string, value any, from *source.Node, at string) {
	c.lists[key] = append(c.lists[key], field{value, from.Take(), c.key + "." + at})
}

// put sets a key of a table of the component.
func (c *component) put(table, key string, value any, from *source.Node, at string) {
	if c.maps[table] == nil {
		c.maps[table] = map[string]field{}
	}
	c.maps[table][key] = field{value, from.Take(), c.key + "." + at}
}

func (c *component) note(from *source.Node, at, format string, args ...any) {
	c.im.note(from.Take(), c.key+"."+at, format, args...)
}

// table returns the component in the form of a definition.
func (c *component) table() map[string]any {
	t := map[string]any{"name": c.name}
	for key, f := range c.fields {
		t[key] = f.value
	}
	for key, list := range c.lists {
		if len(list) == 0 {
			continue
		}
		var tables []map[string]any
		var values []any
		for _, f := range list {
			if one, ok := f.value.(map[string]any); ok && key != "secrets" {
				tables = append(tables, one)
			} else {
				values = append(values, f.value)
			}
		}
		if tables != nil {
			t[key] = tables
		} else {
			t[key] = values
		}
	}
	for name, fields := range c.maps {
		inner := map[string]any{}
		for key, f := range fields {
			inner[key] = f.value
		}
		if len(inner) > 0 {
			t[name] = inner
		}
	}
	return t
}

var indexed = regexp.MustCompile(`^([a-z_]+)\[(\d+)\]`)

// drop leaves out the value with a key, and reports whether there is one.
func (c *component) drop(key, message string) bool {
	if m := indexed.FindStringSubmatch(key); m != nil {
		i, _ := strconv.Atoi(m[2])
		if list := c.lists[m[1]]; i < len(list) {
			c.refused(list[i], message)
			c.lists[m[1]] = slices.Delete(list, i, i+1)
			return true
		}
	}
	name, rest, _ := strings.Cut(key, ".")
	name, _, _ = strings.Cut(name, "[")
	if fields, ok := c.maps[name]; ok && rest != "" {
		for inner, f := range fields {
			if rest == inner || strings.HasPrefix(rest, inner+"[") || rest == strconv.Quote(inner) {
				c.refused(f, message)
				delete(fields, inner)
				return true
			}
		}
	}
	if f, ok := c.fields[name]; ok && name != "image" {
		c.refused(f, message)
		delete(c.fields, name)
		return true
	}
	if list := c.lists[name]; len(list) > 0 {
		c.refused(list[0], message)
		delete(c.lists, name)
		return true
	}
	if fields := c.maps[name]; len(fields) > 0 {
		for _, inner := range slices.Sorted(maps.Keys(fields)) {
			c.refused(fields[inner], message)
			break
		}
		delete(c.maps, name)
		return true
	}
	return false
}

func (c *component) refused(f field, message string) {
	if strings.HasPrefix(message, "unknown key") {
		message = "mcp has no such key"
	}
	c.im.note(f.from, f.key, "is not taken over: %s", message)
}

// reasonOf returns why a key is not taken over.
func reasonOf(name string) string {
	if text := composekeys.Instead(name); text != "" {
		return "is not taken over: " + text
	}
	return cmp.Or(reasons[name], "is not taken over: mcp has no such key")
}

// reasons are why some keys that are no settings of a container are not taken over.
var reasons = map[string]string{
	"develop":        "is not taken over: it is for docker compose watch",
	"reservations":   "is not taken over: mcp reserves nothing, it limits",
	"placement":      "is not taken over: node says where a component runs",
	"mac_address":    "is not taken over: podman chooses it",
	"ipv4_address":   "is not taken over: podman chooses the address; others use the name",
	"ipv6_address":   "is not taken over: podman chooses the address; others use the name",
	"provider":       "is not taken over: mcp runs containers only",
	"restart_policy": "is not taken over: mcp knows condition and max_attempts only",
	"isolation":      "is not taken over: it is for Windows",
}
