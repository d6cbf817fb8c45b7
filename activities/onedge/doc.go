// Package onedge has the activities of an edge: what it serves, and what it reaches. Package
// edge/role implements its Router.
package onedge
