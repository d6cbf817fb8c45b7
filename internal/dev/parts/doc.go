// Package parts starts the programs that mcp depends on, each a child process
// with its data in one directory: Postgres, Temporal's dev server, an OCI image
// registry and podman's API service. The local platform and the tests share it.
package parts
