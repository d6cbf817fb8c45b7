// Package keyring provides the keys with which mcp encrypts what rests in Temporal
// and in Postgres: a file of several keys, of which one encrypts and all decrypt,
// and the encryption itself.
package keyring
