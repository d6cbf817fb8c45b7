// Package onbuilder has the activities of a worker that has the sources: builds, their logs,
// and pushes.
package onbuilder
