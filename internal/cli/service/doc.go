// Package service implements the verbs about definitions, the files of the
// services directory: mcp service.
package service
