// Package identity implements the verbs of identities: those of operators, who create,
// list and revoke them, and that of the machine or person that joins with one.
package identity
