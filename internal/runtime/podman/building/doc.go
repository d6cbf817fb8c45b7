// Package building makes the request of a build, with the archive of its sources, and reads
// what podman prints of it. It decides nothing else, and asks podman nothing.
//
// Package podman imports it.
package building
