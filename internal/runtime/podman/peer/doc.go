// Package peer describes the process behind podman's socket, and its host: what they lack
// of what a container's settings ask for. It reads what the kernel and the file system
// show, and asks podman nothing.
//
// Package podman imports it.
package peer
