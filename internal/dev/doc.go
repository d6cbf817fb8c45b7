// Package dev runs the local platform: everything mcp depends on, in one
// directory. Its parts are Temporal with its UI, Postgres, an image registry,
// podman, and the workers.
package dev
