package config

import (
	"maps"
	"reflect"
	"slices"
)

// key is one key of the configuration, such as "build.workspace", and its value.
type key struct {
	name  string
	value reflect.Value
}

// keys lists every key, in the order of the fields.
func keys(c *Config) []key { return keysOf("", reflect.ValueOf(c).Elem()) }

func keysOf(table string, v reflect.Value) []key {
	var list []key
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		switch {
		case name == "":
		case v.Field(i).Kind() == reflect.Struct:
			list = append(list, keysOf(table+name+".", v.Field(i))...)
		default:
			list = append(list, key{table + name, v.Field(i)})
		}
	}
	return list
}

// sortedKeys returns the keys of a map in order.
func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }
