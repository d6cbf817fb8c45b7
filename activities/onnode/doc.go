// Package onnode has the activities of a node's own worker: all that touch its containers.
//
// The steps of a deploy are fenced (fence.go): of two deployments of a service only the
// newer one changes containers.
package onnode
