package config

import (
	"cmp"
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Where a setting comes from, besides variables, which are named: "$MCP_…".
const (
	FromDefault = "default"
	FromFlag    = "flag"
	FromFile    = "file"
	// FromProfile is Temporal's own configuration, temporal.toml.
	FromProfile = "temporal.toml"
)

// Setting is one key of the configuration as it holds.
type Setting struct {
	// Key is as mcp.toml has it: "build.workspace".
	Key string `json:"key"`
	// Value is without its secrets.
	Value string `json:"value"`
	// Source is one of the From… constants, or a variable.
	Source string `json:"source"`
}

// Settings are all keys, in the order of docs/mcp.example.toml.
func (c *Config) Settings() ([]Setting, error) {
	temporal, err := c.temporalSettings()
	if err != nil {
		return nil, err
	}
	var list []Setting
	for _, k := range keys(c) {
		s, special := temporal[k.name]
		if !special {
			s = Setting{k.name, shown(k), cmp.Or(c.sources[k.name], FromDefault)}
		}
		list = append(list, s)
	}
	return list, nil
}

// temporalSettings are those of Temporal's keys that its tools have a say in.
func (c *Config) temporalSettings() (map[string]Setting, error) {
	options, err := c.TemporalOptions()
	if err != nil {
		return nil, err
	}
	settings := map[string]Setting{}
	for _, k := range []struct{ key, variable, own, holds, standard string }{
		{"temporal.address", "TEMPORAL_ADDRESS", c.Temporal.Address, options.HostPort, "127.0.0.1:7233"},
		{"temporal.namespace", "TEMPORAL_NAMESPACE", c.Temporal.Namespace, options.Namespace, "default"},
		{"temporal.profile", "TEMPORAL_PROFILE", c.Temporal.Profile, cmp.Or(c.getenv("TEMPORAL_PROFILE"), c.Temporal.Profile), ""},
	} {
		source := FromProfile
		switch {
		case c.getenv(k.variable) != "":
			source = "$" + k.variable
		case k.own != "" && k.holds == k.own:
			source = cmp.Or(c.sources[k.key], FromFile)
		case k.own == "" && k.holds == k.standard:
			source = FromDefault
		}
		settings[k.key] = Setting{k.key, k.holds, source}
	}
	return settings, nil
}

// shown is a value as a person reads it, without a secret that it may hold.
func shown(k key) string {
	switch k.name {
	case "postgres.url":
		return withoutPassword(k.value.String())
	case "alerts.webhook":
		return withoutPath(k.value.String())
	}
	if text, ok := k.value.Interface().(encoding.TextMarshaler); ok {
		marshalled, _ := text.MarshalText() // that of a Duration never fails
		return string(marshalled)
	}
	if k.value.Kind() == reflect.Slice {
		return strings.Join(k.value.Interface().([]string), " ")
	}
	return fmt.Sprint(k.value.Interface())
}

// withoutPassword hides the password of an address, wherever it is in it.
func withoutPassword(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "(hidden)"
	}
	if query := parsed.Query(); query.Has("password") {
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	return parsed.Redacted()
}

// withoutPath hides what of a webhook's address often is a secret.
func withoutPath(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return address
	}
	return parsed.Scheme + "://" + parsed.Host + "/…"
}

// noteFile notes which keys a file has.
func (c *Config) noteFile(text []byte) {
	var has map[string]any
	_ = toml.Unmarshal(text, &has) // it has just been read
	for _, k := range keys(c) {
		table := has
		name := k.name
		if group, below, nested := strings.Cut(k.name, "."); nested {
			table, _ = has[group].(map[string]any)
			name = below
		}
		if _, given := table[name]; given {
			c.sources[k.name] = FromFile
		}
	}
}

// noting notes which keys a change gives another value.
func (c *Config) noting(source string, change func()) {
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
