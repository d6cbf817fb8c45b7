package fault

import "slices"

// Kind classifies a failure, and with that whether a retry can help.
type Kind string

const (
	// NotFound: a named object does not exist (an image tag, a container).
	NotFound Kind = "NotFound"
	// Conflict: the object exists already, or a newer deployment owns it.
	Conflict Kind = "Conflict"
	// PortInUse: another process or container holds a host port.
	PortInUse Kind = "PortInUse"
	// Unauthorized: credentials are missing, wrong or insufficient (401, 403).
	Unauthorized Kind = "Unauthorized"
	// Unavailable: the other side cannot be reached, is overloaded or has failed
	// temporarily (connection refused, 429, 5xx). The only kind that is worth
	// waiting for.
	Unavailable Kind = "Unavailable"
	// Invalid: the request can never succeed unchanged (a definition, a source
	// that does not build, an unknown user in an image).
	Invalid Kind = "Invalid"
	// Unhealthy: a container started, then exited or failed its health check.
	Unhealthy Kind = "Unhealthy"
	// DiskFull: a write failed because a disk has no space left. Only an operator
	// can make room, so it is not waited for.
	DiskFull Kind = "DiskFull"
	// Forbidden: the policy of a node or a builder does not allow it there.
	Forbidden Kind = "Forbidden"
	// Internal: none of the above; a defect in mcp or in a program that it calls.
	Internal Kind = "Internal"
)

// kinds is the only list of them; what depends on every kind ranges over Kinds.
var kinds = []Kind{NotFound, Conflict, PortInUse, Unauthorized, Unavailable, Invalid, Unhealthy, DiskFull, Forbidden, Internal}

// Kinds returns every kind.
func Kinds() []Kind { return slices.Clone(kinds) }

// Exists reports whether k is one of Kinds, and not a word from elsewhere.
func (k Kind) Exists() bool { return slices.Contains(kinds, k) }

// Retryable reports whether the same call may succeed later, unchanged.
func (k Kind) Retryable() bool { return k == Unavailable || k == Internal }
