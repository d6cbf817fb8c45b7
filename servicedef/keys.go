package servicedef

import "github.com/metacircular/mcp/servicedef/keypath"

// joinKey returns the key of a field of a table. A name that is not a bare key
// in TOML is quoted.
func joinKey(table, name string) string { return keypath.Join(table, name) }

func elementKey(array string, i int) string { return keypath.Element(array, i) }

// componentKey returns the key of a field of the component with that index.
func componentKey(i int, field string) string { return joinKey(elementKey("components", i), field) }

// parentKey returns the key without its last part, "" for one at the top.
func parentKey(key string) string { return keypath.Parent(key) }
