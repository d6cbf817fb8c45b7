// Package runtime defines Runtime, what mcp requires of a container engine, and
// the types that pass through it. Fake is an engine in memory for tests of what
// is built on Runtime.
//
// Fake and the engine of package podman pass the test in package contract, so
// that a workflow tested on the one runs on the other.
//
// Any package that acts on containers or reports them may import this one. It
// imports internal/fault alone and depends on no engine.
package runtime
