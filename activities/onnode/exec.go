package onnode

import (
	"context"
	"errors"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// ExecInput is a command to run in a container.
type ExecInput struct {
	Component string   `json:"component"`
	Container string   `json:"container"`
	Command   []string `json:"command"`
	// Timeout bounds the wait for its end.
	Timeout time.Duration `json:"timeout"`
}

// ExecResult is the output and the exit code of a command.
type ExecResult = runtime.ExecResult

// Exec runs a command in a container. It must not be retried, because the command may
// have any effect.
func (a *Node) Exec(ctx context.Context, in ExecInput) (runtime.ExecResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, _ *attempt.Reporter) (runtime.ExecResult, error) {
		attempt.Allow(ctx, in.Timeout)
		result, err := a.exec(ctx, in)
		if err != nil && ctx.Err() == nil {
			err = a.placed(err, in.Component)
		}
		return result, err
	})
}

func (a *Node) exec(ctx context.Context, in ExecInput) (runtime.ExecResult, error) {
	if a.Policies != nil {
		p := a.Policies.Policy()
		if broken := p.JudgeExec(); len(broken) > 0 {
			return runtime.ExecResult{}, a.forbidden(p.Name(), "commands in "+in.Container, broken)
		}
	}
	limited, cancel := context.WithTimeout(ctx, in.Timeout)
	defer cancel()
	result, err := a.Runtime.Exec(limited, in.Container, in.Command)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return result, fault.New(fault.Unavailable, "the command in %s has not ended after %s; it may go on", in.Container, in.Timeout).
			WithHint("wait longer: --timeout")
	}
	return result, err
}
