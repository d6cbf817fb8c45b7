// Package secret has the verbs of mcp secret. A value is sealed here, in the operator's
// own process, and leaves it in an envelope alone.
package secret
