package servicedef

import "github.com/metacircular/mcp/servicedef/keypath"

// KeySteps is the key of the steps of a service, which a node must support.
const KeySteps = "steps"

// KeySealed stands among the keys of a component for versions of secrets, which a node
// must support.
const KeySealed = "secrets of the service"

// joinKey returns the key of a field of a table. A name that is not a bare key
// in TOML is quoted.
func joinKey(table, name string) string { return keypath.Join(table, name) }

func elementKey(array string, i int) string { return keypath.Element(array, i) }

// parentKey returns the key without its last part, "" for one at the top.
func parentKey(key string) string { return keypath.Parent(key) }

// componentKey returns the key of a field of the component with that index.
func componentKey(i int, field string) string { return joinKey(elementKey("components", i), field) }

// stepKey returns the key of a field of the step with that index.
func stepKey(i int, field string) string { return joinKey(elementKey(KeySteps, i), field) }
