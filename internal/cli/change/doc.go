// Package change implements the verbs that change a service: each starts a
// workflow that holds the lock of the service, or attaches to it, and follows it
// to its end.
package change
