// Package creation translates a container's specification into the request with which
// podman's API creates it. It decides nothing else, and asks podman nothing.
//
// Package podman imports it.
package creation
