// Package startup makes mcp start faster: it runs on every key that completes a
// command. It imports next to nothing, and so is initialized before the packages
// that allocate most.
package startup

import "runtime/debug"

// usual is the percentage that the environment or Go gives the collector. Until
// Resume it works at another, with which the few megabytes that packages and a
// short command allocate are never worth a collection.
var usual = debug.SetGCPercent(400)

// Resume gives the collector its usual percentage back, for what runs long.
func Resume() { debug.SetGCPercent(usual) }
