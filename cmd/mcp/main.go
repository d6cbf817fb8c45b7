// Command mcp owns the whole build–push–deploy life of containers on a small
// fleet of podman hosts.
package main

import (
	"os"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/startup"
)

func main() { os.Exit(cli.Main(startup.Resume)) }
