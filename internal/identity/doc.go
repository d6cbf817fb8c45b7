// Package identity says who calls: the roles and names that stand in certificates of
// mcp's own small authority, and the files in which a machine keeps its certificate.
//
// An identity is a role and a name, such as node/rift or operator/anna. It stands in the
// certificate itself, as the URI mcp://node/rift?id=…, so that the gateway knows every
// caller without asking Postgres. A key is made on the machine that uses it and never
// leaves that machine. Certificates live for days and are renewed by themselves;
// the gateway refuses those of a revoked identity.
package identity
