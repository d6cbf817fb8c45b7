package podman

import "github.com/metacircular/mcp/internal/runtime"

// stopping is podman's name for the state of a container that has the stop signal
// and has not ended yet.
const stopping = "stopping"

// initialized is the state of a container whose program is about to be started, or, if
// podman was killed just then, is running.
const initialized = "initialized"

// removing is podman's name for the state of a container that is being removed,
// or whose removal podman did not complete because it was killed.
const removing = "removing"

func stateOf(status string) runtime.State {
	switch status {
	case "created", "configured", initialized:
		return runtime.Created
	case "running":
		return runtime.Running
	case "exited", "stopped":
		return runtime.Stopped
	case removing:
		return runtime.Removing
	}
	return runtime.Other
}
