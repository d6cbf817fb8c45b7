// Package key implements the verbs of mcp key, which make and roll the keys with
// which mcp encrypts what rests in Temporal and in Postgres. They change a file of
// this host alone; forget alone changes the registry.
package key
