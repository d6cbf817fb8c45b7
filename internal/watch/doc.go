// Package watch decides what follows from an observation of a node: which drift
// has begun or ended, which releases are deployed again, which containers start
// after a boot, and how much history is kept. It also decides which machine holds a
// node's name and whether a node may be removed. It is pure: observations and
// releases go in, events and names come out.
package watch
