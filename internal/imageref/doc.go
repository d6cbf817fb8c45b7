// Package imageref parses names of images, "host/repository:tag@digest", by the
// grammar that engines and image registries share.
//
// Podman's own package compiles a dozen regular expressions whenever a program
// starts, and every shell completion would pay for that. This one compiles two,
// on first use, and its tests compare it with podman's.
package imageref
