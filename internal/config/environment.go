package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// readEnvironment lets each key's variable override the file: MCP_ and the key
// in upper case, as in MCP_BUILD_WORKSPACE; commas separate the elements of a
// list, and of a map such as 80:8080,443:8443 or
// registry.example=/etc/mcp/a.pub:/etc/mcp/b.pub. The keys that all of Temporal's tools
// have are instead set by the TEMPORAL_… variables that these tools read.
func (c *Config) readEnvironment() error {
	for _, k := range keys(c) {
		name := "MCP_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
		text := c.getenv(name)
		if text == "" || slices.Contains(temporals, k.name) {
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

// temporals are the keys that TEMPORAL_… variables set.
var temporals = []string{"temporal.address", "temporal.namespace", "temporal.profile"}

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
	case reflect.Bool:
		is, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(is)
	case reflect.Map:
		if v.Type() == reflect.TypeFor[map[string][]string]() {
			lists, err := keyFiles(elements(text))
			v.Set(reflect.ValueOf(lists))
			return err
		}
		pairs := map[string]int{}
		for _, element := range elements(text) {
			of, number, _ := strings.Cut(element, ":")
			n, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("%q must be two numbers, such as 443:8443", element)
			}
			pairs[of] = n
		}
		v.Set(reflect.ValueOf(pairs))
	default: // a list of strings
		v.Set(reflect.ValueOf(elements(text)))
	}
	return nil
}

// elements returns the elements of a list in a variable.
func elements(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
