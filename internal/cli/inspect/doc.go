// Package inspect implements the verbs that change nothing: they read the
// registry, the nodes and Temporal, and run a command in a container.
package inspect
