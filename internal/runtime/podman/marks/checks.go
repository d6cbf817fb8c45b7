package marks

import (
	"context"
)

// Check identifies the processes of a container's checks among this host's. It is the
// container's id, in a variable that each process has and its children inherit. Podman
// ends an exec session with its first process at most, and leaves the others.
type Check string

// Variable returns the mark as an entry of the command's environment.
func (m Check) Variable() string { return "MCP_CHECK=" + string(m) }

// Watch interrupts the check if ctx ends first. It kills the marked processes until the
// check has ended, and then calls disconnect, which ends the connection to podman. The
// caller calls done after the check.
func (m Check) Watch(ctx context.Context, disconnect func()) (done func()) {
	return interrupt(ctx, m.Kill, func() bool { return true }, disconnect)
}

// Kill kills the marked processes.
func (m Check) Kill() {
	killEach(func(pid int) bool { return hasVariable(pid, m.Variable()) })
}
