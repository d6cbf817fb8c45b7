package servicedef

import (
	"strconv"
	"strings"
)

// joinKey returns the key of a field of a table. A name that is not a bare key
// in TOML is quoted.
func joinKey(table, name string) string {
	if !bareKey(name) {
		name = strconv.Quote(name)
	}
	if table == "" {
		return name
	}
	return table + "." + name
}

// bareKey reports whether TOML takes a key without quotes. It runs for every
// key that is checked, too often for a regular expression.
func bareKey(name string) bool {
	for _, c := range []byte(name) {
		bare := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
		if !bare {
			return false
		}
	}
	return name != ""
}

func elementKey(array string, i int) string { return array + "[" + strconv.Itoa(i) + "]" }

// componentKey returns the key of a field of the component with that index.
func componentKey(i int, field string) string { return joinKey(elementKey("components", i), field) }

// parentKey returns the key without its last part, "" for one at the top.
func parentKey(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }
