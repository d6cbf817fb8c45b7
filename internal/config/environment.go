package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// readEnvironment lets each key's variable go over the file: MCP_ and the key
// in upper case, as MCP_BUILD_WORKSPACE; a list is separated by commas.
// Temporal's keys, but for that of its UI, have the variables that all of its
// tools read, TEMPORAL_…, instead.
func (c *Config) readEnvironment() error {
	for _, k := range keys(c) {
		name := "MCP_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
		text := c.getenv(name)
		if text == "" || strings.HasPrefix(k.name, "temporal.") && k.name != "temporal.ui" {
			continue
		}
		if err := set(k.value, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.sources[k.name] = "$" + name
	}
	// What the environment says of Postgres stands for both of its keys.
	if c.getenv("MCP_POSTGRES_URL") != "" {
		c.Postgres.URLFile = ""
		delete(c.sources, "postgres.url_file")
	} else if c.getenv("MCP_POSTGRES_URL_FILE") != "" {
		c.Postgres.URL = ""
		delete(c.sources, "postgres.url")
	}
	return nil
}

// set gives a value what a variable says.
func set(v reflect.Value, text string) error {
	if parsed, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return parsed.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no whole number", text)
		}
		v.SetInt(int64(n))
	default: // a list of strings is all that is left
		list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		v.Set(reflect.ValueOf(list))
	}
	return nil
}
