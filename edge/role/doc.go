// Package role makes a process an edge: it serves what its publications say, keeps them
// on disk, announces itself through Temporal, and receives new ones.
//
// An edge that boots serves its last publications at once, and goes on while Temporal,
// Postgres or the control workers are away. An edge that an operator has not admitted,
// or has removed, serves nothing; it keeps its files.
package role
