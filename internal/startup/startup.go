// Package startup makes mcp start faster: it runs on every key that completes a
// command. Only the program imports it, never what tests import.
package startup

import "runtime"

// threads is how many threads run Go code usually. Until Resume it is one: while
// packages are initialized and a short command runs, a second one has little to
// do and spends its time looking for it. This package imports runtime alone and
// so is initialized before nearly all others; another import would undo that.
var threads = runtime.GOMAXPROCS(1)

// Resume is for what runs long, workers mostly: half of what is usual. The rest is
// for podman and what that runs; and threads that are never all busy spend a sixth
// of a worker's processor time looking for work. Who has chosen gets what they chose.
func Resume(chosen bool) {
	if !chosen {
		threads = max(1, threads/2)
	}
	runtime.GOMAXPROCS(threads)
}
