package config

import (
	"cmp"
	"encoding"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Setting is the effective value of one key of the configuration.
type Setting struct {
	// Key is written as in mcp.toml: "build.workspace".
	Key string `json:"key"`
	// Value has its secrets removed.
	Value string `json:"value"`
	// Source is one of the From… constants, or a variable.
	Source string `json:"source"`
}

// Settings returns all keys, in the order of docs/mcp.example.toml.
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

// temporalSettings returns those of Temporal's keys that Temporal's own
// configuration can override.
func (c *Config) temporalSettings() (map[string]Setting, error) {
	options, err := c.connection()
	if err != nil {
		return nil, err
	}
	settings := map[string]Setting{}
	if strings.HasPrefix(options.HostPort, doorScheme+":") {
		options.HostPort = c.Temporal.Address // door.addresses has the others
	}
	for _, k := range []struct{ key, variable, own, effective, standard string }{
		{"temporal.address", "TEMPORAL_ADDRESS", c.Temporal.Address, options.HostPort, "127.0.0.1:7233"},
		{"temporal.namespace", "TEMPORAL_NAMESPACE", c.Temporal.Namespace, options.Namespace, "default"},
		{"temporal.profile", "TEMPORAL_PROFILE", c.Temporal.Profile, cmp.Or(c.getenv("TEMPORAL_PROFILE"), c.Temporal.Profile), ""},
	} {
		source := FromProfile
		switch {
		case k.key == "temporal.address" && len(c.Door.Addresses) > 0 && c.getenv(k.variable) == "" && slices.Contains(append(c.Door.Addresses, c.Temporal.Address), options.HostPort):
			k.effective, source = c.Temporal.Address, cmp.Or(c.sources[k.key], FromDefault)
		case c.getenv(k.variable) != "":
			source = "$" + k.variable
		case k.own != "" && k.effective == k.own:
			source = cmp.Or(c.sources[k.key], FromFile)
		case k.own == "" && k.effective == k.standard:
			source = FromDefault
		}
		settings[k.key] = Setting{k.key, k.effective, source}
	}
	return settings, nil
}

// shown formats a value for people, without secrets.
func shown(k key) string {
	switch k.name {
	case "postgres.url":
		return withoutPassword(k.value.String())
	case "alerts.webhook":
		return withoutPath(k.value.String())
	}
	if text, ok := k.value.Interface().(encoding.TextMarshaler); ok {
		marshalled, _ := text.MarshalText() // a Duration's never fails
		return string(marshalled)
	}
	switch value := k.value.Interface().(type) {
	case []string:
		return strings.Join(value, " ")
	case map[string][]string:
		var pairs []string
		for _, of := range slices.Sorted(maps.Keys(value)) {
			pairs = append(pairs, of+"="+strings.Join(value[of], ":"))
		}
		return strings.Join(pairs, " ")
	case map[string]int:
		var pairs []string
		for _, of := range sortedKeys(value) {
			pairs = append(pairs, fmt.Sprintf("%s:%d", of, value[of]))
		}
		return strings.Join(pairs, " ")
	}
	return fmt.Sprint(k.value.Interface())
}
