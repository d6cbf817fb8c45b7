package runtime

import (
	"fmt"
	goruntime "runtime"
	"strings"

	"github.com/docker/go-units"

	"github.com/metacircular/mcp/internal/fault"
)

// killed is the exit code of a program that signal 9 ended.
const killed = 128 + 9

// ExitUnknown is the exit code of a program that has ended with an unknown one.
const ExitUnknown = -1

// End describes how the container's program ended: "exited with code 3".
func (c ContainerInfo) End() string {
	end := fmt.Sprintf("exited with code %d", c.ExitCode)
	if c.ExitCode == ExitUnknown {
		end = "exited"
	}
	switch limit := strings.ToLower(units.BytesSize(float64(c.Memory))); {
	case c.OutOfMemory && c.Memory > 0:
		end = "was killed: it used more than its memory, " + limit
	case c.OutOfMemory:
		end = "was killed: the host has no memory left"
	case c.mayHaveUsedTooMuch():
		end += fmt.Sprintf(" (killed), as a program that uses more than its memory, %s", limit)
	}
	if c.Restarts > 0 {
		end += fmt.Sprintf(" (restarts: %d)", c.Restarts)
	}
	return end
}

// mayHaveUsedTooMuch reports whether a container with a limit was killed. Not
// every engine learns that the kernel did that.
func (c ContainerInfo) mayHaveUsedTooMuch() bool {
	return !c.OutOfMemory && c.ExitCode == killed && c.Memory > 0
}

// noExec is the kernel's error for a program of another architecture, with which
// the OCI runtime ends.
const noExec = ": exec format error"

// Failure returns the error of a container that ended although it should run,
// given its last lines of output. It is Invalid where no further attempt with the
// same definition can succeed, and has a hint.
func (c ContainerInfo) Failure(last []string) *fault.Error {
	f := fault.New(fault.Unhealthy, "container %s: %s", c.Name, c.End())
	host := goruntime.GOOS + "/" + goruntime.GOARCH
	switch {
	case c.OutOfMemory || c.mayHaveUsedTooMuch():
		f.Kind = fault.Invalid
		f = f.WithHint("raise memory in the service definition, or limit what the program uses")
	case c.Platform != "" && c.Platform != host && len(last) > 0 && strings.HasSuffix(last[len(last)-1], noExec):
		f = fault.New(fault.Invalid, "container %s: cannot run: its image is for %s, and the node is %s", c.Name, c.Platform, host).
			WithHint("build the image for %s, or place the component on a node that is %s", host, c.Platform)
	}
	f.Log = last
	return f
}
