package podman

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/metacircular/mcp/internal/runtime"
)

// Check runs a command in a running container as Exec does. When the context ends,
// it kills what the command has started.
func (e *Engine) Check(ctx context.Context, name string, cmd []string) (runtime.ExecResult, error) {
	id, err := e.runningID(ctx, name)
	if err != nil {
		return runtime.ExecResult{}, err
	}
	mark := checkMark(id)
	if _, begun := e.checked.LoadOrStore(id, true); !begun {
		mark.kill() // what an earlier process of mcp left
	}
	whole, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	done := interrupt(ctx, mark.kill, func() bool { return true }, disconnect)
	result, err := e.exec(whole, id, cmd, mark.variable())
	done()
	if ctx.Err() != nil {
		mark.kill()
		err = ctx.Err()
	}
	return e.executed(ctx, name, cmd, result, err)
}

// checkMark identifies the processes of a container's checks among this host's: each
// has the container's id in a variable, which its children inherit. Podman ends an
// exec session with its first process at most, and leaves the others.
type checkMark string

// variable returns the mark as an entry of the command's environment.
func (m checkMark) variable() string { return "MCP_CHECK=" + string(m) }

// kill kills the marked processes. It skips those that it cannot inspect, as where
// podman runs on another host.
func (m checkMark) kill() {
	killEach(func(pid int) bool {
		environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		return err == nil && bytes.Contains(environ, []byte(m.variable()+"\x00"))
	})
}
