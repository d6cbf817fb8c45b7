// Mcp-edge serves routes to the world: see docs/edge.md.
package main

import (
	"os"

	"github.com/metacircular/mcp/edge/command"
)

func main() { os.Exit(command.Main()) }
