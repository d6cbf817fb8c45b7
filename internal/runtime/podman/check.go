package podman

import (
	"context"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// Check runs a command in a running container as Exec does. When the context ends,
// it kills what the command has started.
func (e *Engine) Check(ctx context.Context, name string, cmd []string) (runtime.ExecResult, error) {
	id, err := e.runningID(ctx, name)
	if err != nil {
		return runtime.ExecResult{}, err
	}
	mark := marks.Check(id)
	if _, begun := e.checked.LoadOrStore(id, true); !begun {
		mark.Kill() // what an earlier process of mcp left
	}
	whole, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	done := mark.Watch(ctx, disconnect)
	result, err := e.exec(whole, id, cmd, mark.Variable())
	done()
	if ctx.Err() != nil {
		mark.Kill()
		err = ctx.Err()
	}
	return e.executed(ctx, name, cmd, result, err)
}
