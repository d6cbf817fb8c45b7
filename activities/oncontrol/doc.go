// Package oncontrol has the activities of control workers: all that touch Postgres or an
// image registry. stores.go declares what they need of the registry.
package oncontrol
