// Package table writes TOML for people: the keys of a definition in the order in which it
// is read.
package table

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/servicedef/keypath"
)

// order lists the keys that come first, in this order; others follow by name.
var order = []string{
	"name", "node", "active", "path", "env_file", "image", "entrypoint", "cmd", "workdir", "user", "hostname",
	"env", "secrets", "secret_env", "volumes", "tmpfs", "ports", "network", "networks", "depends_on", "restart",
	"port", "mode", "container_port", "http", "tcp", "source", "target", "content",
}

// last lists the tables that come after the others.
var last = []string{"env", "labels", "health", "routes", "files", "components", "steps"}

// longestInline is how many characters the entries of a table in one line may have.
const longestInline = 90

// Text returns a table in TOML. Its values are texts, booleans, numbers, arrays and tables.
func Text(t map[string]any) string {
	var b strings.Builder
	write(&b, "", t)
	return b.String()
}

func write(b *strings.Builder, path string, t map[string]any) {
	var below []string
	for _, key := range sorted(t) {
		if inline, ok := inlined(t[key], path == ""); ok {
			fmt.Fprintf(b, "%s = %s\n", keypath.Join("", key), inline)
		} else {
			below = append(below, key)
		}
	}
	slices.SortStableFunc(below, func(a, b string) int { return slices.Index(last, a) - slices.Index(last, b) })
	for _, key := range below {
		whole := keypath.Join(path, key)
		if list, ok := tables(t[key]); ok {
			for _, one := range list {
				fmt.Fprintf(b, "\n[[%s]]\n", whole)
				write(b, whole, one)
			}
			continue
		}
		inner, _ := t[key].(map[string]any)
		if onlyTables(inner) {
			write(b, whole, inner)
			continue
		}
		fmt.Fprintf(b, "\n[%s]\n", whole)
		write(b, whole, inner)
	}
}

// onlyTables reports whether a table needs no header: its keys have their own.
func onlyTables(t map[string]any) bool {
	for _, value := range t {
		if _, ok := inlined(value, false); ok {
			return false
		}
	}
	return len(t) > 0
}

func sorted(t map[string]any) []string {
	place := func(key string) int {
		if i := slices.Index(order, key); i >= 0 {
			return i
		}
		return len(order)
	}
	keys := slices.Sorted(maps.Keys(t))
	slices.SortStableFunc(keys, func(a, b string) int { return place(a) - place(b) })
	return keys
}

func tables(value any) ([]map[string]any, bool) {
	list, ok := value.([]map[string]any)
	return list, ok
}

// inlined returns a value in one line, unless it is a table, or an array of tables, that
// deserves its own header. At the top every table does.
func inlined(value any, top bool) (string, bool) {
	switch v := value.(type) {
	case map[string]any:
		text, flat := flatTable(v)
		return text, flat && !top && len(text) <= longestInline
	case []map[string]any:
		return "", false
	}
	return scalar(value), true
}

// flatTable returns a table in one line. Flat reports whether it holds no other tables.
func flatTable(t map[string]any) (text string, flat bool) {
	var parts []string
	flat = true
	for _, key := range sorted(t) {
		switch t[key].(type) {
		case map[string]any, []map[string]any:
			flat = false
		}
		parts = append(parts, keypath.Join("", key)+" = "+scalar(t[key]))
	}
	return "{ " + strings.Join(parts, ", ") + " }", flat && len(t) > 0
}

func scalar(value any) string {
	switch v := value.(type) {
	case string:
		return quote(v)
	case []string:
		parts := make([]string, len(v))
		for i, text := range v {
			parts[i] = quote(text)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []any:
		parts := make([]string, len(v))
		for i, element := range v {
			parts[i] = scalar(element)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		text, _ := flatTable(v)
		return text
	case float64:
		text := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	return fmt.Sprint(value)
}

// quote formats a text: unchanged if it has several lines, else as JSON does, except for
// one character.
func quote(s string) string {
	if strings.Contains(s, "\n") && !strings.Contains(s, "'''") && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfffd }) && !strings.HasSuffix(s, "'") {
		return "'''\n" + s + "'''"
	}
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(s) // a text always encodes
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}
