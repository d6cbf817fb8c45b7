// Package edge implements the verbs about edges, and about what they serve: mcp edge
// and mcp route.
package edge
