package compose

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/metacircular/mcp/internal/compose/table"
	"github.com/metacircular/mcp/servicedef"
)

// defaulted are the keys that a definition contains even if they have their default, by
// the table that holds them.
var defaulted = map[string][]string{
	"":           {"active"},
	"components": {"node", "order", "restart", "stop_timeout", "drain", "overlap", "catch_up", "timeout", "keep"},
	"health":     {"interval", "timeout", "min_healthy", "retries", "start_period"},
	"routes":     {"mode"},
	"steps":      {"when", "timeout", "stop_timeout"},
}

// shorten removes from the table of a definition the keys without which it says the same,
// because they have their defaults.
func shorten(s *servicedef.Service, whole map[string]any) {
	want := s.Hash()
	same := func() bool {
		parsed, err := servicedef.Parse([]byte(table.Text(whole)), s.File)
		return err == nil && parsed.Hash() == want
	}
	if !same() {
		return // the definition was valid for another version of mcp
	}
	drop(whole, defaulted[""], same)
	components, _ := whole["components"].([]map[string]any)
	for _, c := range components {
		drop(c, defaulted["components"], same)
		if health, ok := c["health"].(map[string]any); ok {
			drop(health, defaulted["health"], same)
		}
		routes, _ := c["routes"].([]map[string]any)
		for _, r := range routes {
			drop(r, defaulted["routes"], same)
		}
	}
	steps, _ := whole["steps"].([]map[string]any)
	for _, one := range steps {
		drop(one, defaulted["steps"], same)
	}
}

// drop removes those of the keys that make no difference: all of them, or each half.
func drop(t map[string]any, keys []string, same func() bool) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { _, given := t[key]; return !given })
	if len(keys) == 0 {
		return
	}
	before := maps.Clone(t)
	for _, key := range keys {
		delete(t, key)
	}
	if same() {
		return
	}
	maps.Copy(t, before)
	if half := len(keys) / 2; half > 0 {
		drop(t, keys[:half], same)
		drop(t, keys[half:], same)
	}
}

// mapping is a map of YAML with its keys in order.
type mapping struct {
	keys   []string
	values map[string]any
}

func (m *mapping) set(key string, value any) {
	if m.values == nil {
		m.values = map[string]any{}
	}
	if _, known := m.values[key]; !known {
		m.keys = append(m.keys, key)
	}
	m.values[key] = value
}

// inner returns a map of one key.
func inner(key string, value any) *mapping {
	m := &mapping{}
	m.set(key, value)
	return m
}

func (m *mapping) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range m.keys {
		n.Content = append(n.Content, node(key), node(m.values[key]))
	}
	return n
}

func node(value any) *yaml.Node {
	n := &yaml.Node{}
	switch v := value.(type) {
	case *mapping:
		return v.node()
	case []any:
		n.Kind = yaml.SequenceNode
		for _, element := range v {
			n.Content = append(n.Content, node(element))
		}
		return n
	case string:
		n.SetString(v)
		if v == "" || resolves(v) {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n
	}
	_ = n.Encode(value) // a boolean or a number always encodes
	return n
}

// resolves reports whether YAML 1.1 or 1.2 reads a plain text as something else.
func resolves(text string) bool {
	if strings.ContainsAny(text[:1], "0123456789.+-") || strings.Contains(text, ":") {
		return true
	}
	return slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"}, strings.ToLower(text))
}

// escaped returns a value with each "$" doubled, because Compose replaces variables in
// all texts. Tables become maps with sorted keys.
func escaped(value any) any {
	switch v := value.(type) {
	case string:
		return strings.ReplaceAll(v, "$", "$$")
	case []any:
		texts := make([]any, len(v))
		for i, element := range v {
			texts[i] = escaped(element)
		}
		return texts
	case []map[string]any:
		all := make([]any, len(v))
		for i, element := range v {
			all[i] = escaped(element)
		}
		return all
	case map[string]any:
		m := &mapping{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			m.set(key, escaped(v[key]))
		}
		return m
	}
	return value
}

// componentTable returns the table of one component.
func componentTable(whole map[string]any, i int) map[string]any {
	components, _ := whole["components"].([]map[string]any)
	if i >= len(components) {
		return map[string]any{}
	}
	return components[i]
}

// buildOf returns how an image is built, as a table.
func buildOf(s *servicedef.Service, image string) (map[string]any, bool) {
	var full map[string]any
	if _, err := toml.Decode(s.TOML(), &full); err != nil {
		return nil, false
	}
	build, built := tableIn(tableIn(full["build"])["images"])[servicedef.ImageName(image)]
	if !built {
		return nil, false
	}
	return tableOf(build), true
}

// tableIn returns a value as a table, which is empty if it is none.
func tableIn(value any) map[string]any {
	t, _ := value.(map[string]any)
	return t
}

// list returns a value as a list; a text is one of a single element.
func list(value any) []any {
	switch v := value.(type) {
	case []any:
		return slices.Clone(v)
	case string:
		return []any{v}
	}
	return nil
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func textOf(value any) string {
	text, _ := value.(string)
	return text
}

// limitOf returns a limit of a process in the form of Compose.
func limitOf(text string) any {
	if text == "unlimited" {
		return -1
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return fmt.Sprint(text)
}
