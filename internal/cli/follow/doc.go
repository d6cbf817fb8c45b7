// Package follow shows a workflow while it runs: each step of its history as a
// line, and the attempts, heartbeats and waits of the steps that have not ended. It
// also provides the builder that a command runs for the workflow that it follows.
package follow
