// Command mcp owns the build–push–deploy life of containers on a small fleet of
// podman hosts.
package main
