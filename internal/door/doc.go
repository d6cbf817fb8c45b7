// Package door is the gateway in front of Temporal: one port, with mutual TLS, which is
// all that nodes, edges, builders and operators know of the control plane.
//
// The protocol that a client names in the handshake decides what serves it: h2 is
// Temporal's API under a law (package door/law), mcp-stream/1 the byte streams between
// operators and nodes (package stream), mcp-join/1 the certificates themselves (package
// identity/enrol), which needs no certificate. The caller of each connection is known
// before the first byte of its protocol is read.
//
// A gateway keeps nothing but copies: several may run, and each serves known identities
// while Postgres is away.
package door
