package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// readEnvironment lets each key's variable override the file: MCP_ and the key
// in upper case, as in MCP_BUILD_WORKSPACE; commas separate the elements of a
// list. Temporal's keys, except the one of its UI, instead have the TEMPORAL_…
// variables that all of its tools read.
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
	// A variable for one of Postgres's keys overrides both.
	if c.getenv("MCP_POSTGRES_URL") != "" {
		c.Postgres.URLFile = ""
		delete(c.sources, "postgres.url_file")
	} else if c.getenv("MCP_POSTGRES_URL_FILE") != "" {
		c.Postgres.URL = ""
		delete(c.sources, "postgres.url")
	}
	return nil
}

// set parses the text of a variable into a value.
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
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	default: // a list of strings
		list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		v.Set(reflect.ValueOf(list))
	}
	return nil
}
