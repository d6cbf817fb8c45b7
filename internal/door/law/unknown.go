package law

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// unknownKey returns the path of a key of a JSON text that a type does not have, such as
// "definition.components[0].colour"; "" if it has all of them. Types that decode themselves
// are checked as well: their objects have the keys of their fields, and what they leave
// out would be lost on the way.
func unknownKey(text []byte, of reflect.Type) string {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return "" // another check reports it
	}
	return strings.TrimPrefix(unknownIn(value, of), ".")
}

func unknownIn(value any, of reflect.Type) string {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch v := value.(type) {
	case []any:
		if of.Kind() != reflect.Slice && of.Kind() != reflect.Array {
			return ""
		}
		for i, element := range v {
			if found := unknownIn(element, of.Elem()); found != "" {
				return fmt.Sprintf("[%d]%s", i, found)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var below reflect.Type
			switch of.Kind() {
			case reflect.Map:
				below = of.Elem()
			case reflect.Struct:
				if below = keysOf(of)[strings.ToLower(key)]; below == nil {
					return "." + key
				}
			default:
				return ""
			}
			if found := unknownIn(v[key], below); found != "" {
				return "." + key + found
			}
		}
	}
	return ""
}

// structKeys caches, by type, what keysOf returns.
var structKeys sync.Map

// keysOf returns the keys of a struct in JSON, in small letters because encoding/json
// accepts any, with the types of their fields.
func keysOf(of reflect.Type) map[string]reflect.Type {
	if known, ok := structKeys.Load(of); ok {
		return known.(map[string]reflect.Type)
	}
	keys := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported() || field.Anonymous && name == "":
			continue
		case name == "":
			name = field.Name
		}
		keys[strings.ToLower(name)] = field.Type
	}
	structKeys.Store(of, keys)
	return keys
}
