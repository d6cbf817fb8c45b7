package compose

import (
	"strconv"

	"github.com/metacircular/mcp/internal/compose/source"
)

// Extension is the key of a Compose file, and of its services, that holds what Compose
// cannot express. An export writes it, and an import reads it.
const Extension = "x-mcp"

// extensions takes over what an export has written for its import.
func (im *importing) extensions() {
	for _, key := range keysOf(im.project.Root.Get(Extension)) {
		n := im.project.Root.Get(Extension).Get(key)
		switch key {
		case "node":
			im.options.Node = n.Text
		case "name", "components":
			im.note(n, Extension+"."+key, "is not taken over: the Compose file has it")
		default:
			im.top[key] = value(n)
		}
	}
	for _, c := range im.components {
		for _, key := range keysOf(c.node.Get(Extension)) {
			c.extension(key, c.node.Get(Extension).Get(key))
		}
	}
}

func (c *component) extension(key string, n *source.Node) {
	at := Extension + "." + key
	if key != "env" { // which adds to those of environment
		delete(c.lists, key)
		delete(c.fields, key)
	}
	switch {
	case n.Kind == source.Map:
		for _, name := range n.Keys {
			c.put(key, name, value(n.Get(name)), n.Get(name), at+"."+name)
		}
	case n.Kind == source.List && key != "secrets" && len(n.Items) > 0 && n.Items[0].Kind == source.Map:
		for i, item := range n.Items {
			c.add(key, value(item), item, at+"["+strconv.Itoa(i)+"]")
		}
	default:
		c.set(key, value(n), n, at)
	}
}

// value returns the TOML form of a value of YAML.
func value(n *source.Node) any {
	switch n.Kind {
	case source.Map:
		t := map[string]any{}
		for _, key := range n.Keys {
			t[key] = value(n.Get(key))
		}
		return t
	case source.List:
		list := []any{}
		var tables []map[string]any
		for _, item := range n.Items {
			v := value(item)
			if t, ok := v.(map[string]any); ok {
				tables = append(tables, t)
			}
			list = append(list, v)
		}
		if len(tables) == len(list) && len(list) > 0 {
			return tables
		}
		return list
	}
	switch n.Type {
	case "!!bool":
		return truth(n)
	case "!!int":
		return wholeOr(n)
	case "!!float":
		if f, err := strconv.ParseFloat(n.Text, 64); err == nil {
			return f
		}
	}
	return n.Text
}
