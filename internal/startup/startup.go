// Package startup makes mcp start faster: it runs on every key that completes a
// command. It imports next to nothing, and so is initialized before the packages
// that allocate most. Only the program imports it, never what tests import.
package startup

import (
	"runtime"
	"runtime/debug"
)

// What the environment or Go gives the collector and the scheduler. Until Resume
// a collection waits for more than the few megabytes that packages and a short
// command allocate, and one thread runs Go code: a second one has little to do
// and spends its time looking for it, 5 of 51 ms.
var (
	percent = debug.SetGCPercent(400)
	threads = runtime.GOMAXPROCS(1)
)

// Resume gives both back what is usual, for what runs long.
func Resume() {
	debug.SetGCPercent(percent)
	runtime.GOMAXPROCS(threads)
}
