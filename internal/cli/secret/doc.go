// Package secret implements the verbs of mcp secret. A value is sealed here, in the
// operator's own process, and leaves it only in an envelope.
package secret
