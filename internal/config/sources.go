package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// The sources of a setting, besides variables, which are named: "$MCP_…".
const (
	FromDefault = "default"
	FromFlag    = "flag"
	FromFile    = "file"
	// FromProfile is Temporal's own configuration, temporal.toml.
	FromProfile = "temporal.toml"
)

// recordFile records which keys a file has.
func (c *Config) recordFile(text []byte) {
	var has map[string]any
	_ = toml.Unmarshal(text, &has) // it has just been decoded
	for _, k := range keys(c) {
		table, path := has, strings.Split(k.name, ".")
		for _, group := range path[:len(path)-1] {
			table, _ = table[group].(map[string]any)
		}
		if _, given := table[path[len(path)-1]]; given {
			c.sources[k.name] = FromFile
		}
	}
}

// recordChanges records which keys have another value after change.
func (c *Config) recordChanges(source string, change func()) {
	before := map[string]string{}
	for _, k := range keys(c) {
		before[k.name] = fmt.Sprint(k.value.Interface())
	}
	change()
	for _, k := range keys(c) {
		if fmt.Sprint(k.value.Interface()) != before[k.name] {
			c.sources[k.name] = source
		}
	}
}
