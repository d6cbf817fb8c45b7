package main

import (
	"os"
	"runtime/debug"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/startup"
)

func main() {
	// A short command allocates a few megabytes: not worth collecting.
	percent := debug.SetGCPercent(400)
	os.Exit(cli.Main(func() {
		debug.SetGCPercent(percent)
		startup.Resume(os.Getenv("GOMAXPROCS") != "")
	}))
}
