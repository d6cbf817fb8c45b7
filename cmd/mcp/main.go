// Command mcp owns the whole build–push–deploy life of containers on a small
// fleet of podman hosts.
package main

import (
	"os"
	"runtime/debug"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/startup"
)

func main() {
	// What a short command allocates is a few megabytes: not worth collecting.
	percent := debug.SetGCPercent(400)
	os.Exit(cli.Main(func() {
		debug.SetGCPercent(percent)
		startup.Resume(os.Getenv("GOMAXPROCS") != "")
	}))
}
