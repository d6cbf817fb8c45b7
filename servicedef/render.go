package servicedef

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// TOML formats a definition with its defaults filled in. Parse gives the same
// definition back.
func (s Service) TOML() string {
	var w strings.Builder
	renderTable(&w, "", reflect.ValueOf(s))
	return w.String()
}

// renderTable writes the keys of a table, then its subtables.
func renderTable(w *strings.Builder, path string, v reflect.Value) {
	var below []func()
	for _, field := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(field.Index)
		name, encoding := field.Tag.Get("toml"), field.Tag.Get("json")
		if value.IsZero() && strings.Contains(encoding, ",omit") {
			continue
		}
		whole := joinKey(path, name)
		switch {
		case isTable(field.Type):
			below = append(below, func() {
				fmt.Fprintf(w, "\n[%s]\n", whole)
				renderTable(w, whole, value)
			})
		case field.Type.Kind() == reflect.Slice && isTable(field.Type.Elem()):
			for i := range value.Len() {
				below = append(below, func() {
					fmt.Fprintf(w, "\n[[%s]]\n", whole)
					renderTable(w, whole, value.Index(i))
				})
			}
		default:
			fmt.Fprintf(w, "%s = %s\n", name, renderValue(value))
		}
	}
	for _, table := range below {
		table()
	}
}

// isTable reports whether a type is written under a header of its own.
func isTable(t reflect.Type) bool {
	_, special := reflect.New(t).Interface().(fromTOML)
	return t.Kind() == reflect.Struct && !special
}

func renderValue(v reflect.Value) string {
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		marshalled, _ := text.MarshalText() // a Duration's never fails
		return quote(string(marshalled))
	}
	if b, ok := v.Interface().(ImageBuild); ok {
		if file, simple := b.simple(); simple {
			return quote(file)
		}
	}
	if h, ok := v.Interface().(Hostnames); ok && len(h) == 1 {
		return quote(h[0])
	}
	if networks, ok := v.Interface().(Networks); ok {
		return networks.render()
	}
	if secret, ok := v.Interface().(Secret); ok && secret.plain() {
		return quote(secret.Source)
	}
	var parts []string
	switch v.Kind() {
	case reflect.Pointer:
		return renderValue(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, renderValue(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		values := map[string]reflect.Value{}
		for _, key := range v.MapKeys() {
			values[key.String()] = v.MapIndex(key)
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			parts = append(parts, quote(key)+" = "+renderValue(values[key]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case reflect.Struct: // a table in a line
		for _, field := range fieldsOf(v.Type()) {
			if value := v.FieldByIndex(field.Index); !value.IsZero() {
				parts = append(parts, field.Tag.Get("toml")+" = "+renderValue(value))
			}
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case reflect.String:
		return quote(v.String())
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	}
	return fmt.Sprint(v.Interface()) // a bool, or a whole number
}

// render formats the networks as TOML: as an array if none has aliases.
func (n Networks) render() string {
	plain := !slices.ContainsFunc(n, func(network NetworkRef) bool { return len(network.Aliases) > 0 })
	var names, tables []string
	for _, network := range n {
		names = append(names, quote(network.Name))
		options := "{}"
		if len(network.Aliases) > 0 {
			options = "{ aliases = " + renderValue(reflect.ValueOf(network.Aliases)) + " }"
		}
		tables = append(tables, quote(network.Name)+" = "+options)
	}
	if plain {
		return "[" + strings.Join(names, ", ") + "]"
	}
	return "{ " + strings.Join(tables, ", ") + " }"
}

// quote formats a string as TOML: as JSON, except for one character.
func quote(s string) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(s) // a string always encodes
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "\x7f", `\u007f`)
}
