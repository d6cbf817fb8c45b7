// Package command is the command line of mcp-edge.
package command
