// Package keypath implements the notation of places in a definition:
// "components[1].routes[0].port".
package keypath

import (
	"strconv"
	"strings"
)

// Join returns the key of a field of a table. A name that is not a bare key in TOML is
// quoted.
func Join(table, name string) string {
	if !Bare(name) {
		name = strconv.Quote(name)
	}
	if table == "" {
		return name
	}
	return table + "." + name
}

// Bare reports whether TOML takes a key without quotes. It runs for every key that is
// checked, too often for a regular expression.
func Bare(name string) bool {
	for _, c := range []byte(name) {
		bare := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
		if !bare {
			return false
		}
	}
	return name != ""
}

// Element returns the key of an element of an array.
func Element(array string, i int) string { return array + "[" + strconv.Itoa(i) + "]" }

// Parent returns the key without its last part, "" for one at the top.
func Parent(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }
