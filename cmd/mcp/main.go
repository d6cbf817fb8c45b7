// Command mcp owns the whole build–push–deploy life of containers on a small
// fleet of podman hosts.
package main

import (
	"os"

	"github.com/metacircular/mcp/internal/cli"
)

func main() { os.Exit(cli.Main()) }
