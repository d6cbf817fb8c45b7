package podman

import (
	"context"
	"errors"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/printed"
)

// Exec runs a command in a running container and returns the beginning of its
// output. When the context ends, Exec returns, but the command may continue in
// the container.
func (e *Engine) Exec(ctx context.Context, name string, cmd []string) (runtime.ExecResult, error) {
	id, err := e.runningID(ctx, name)
	if err != nil {
		return runtime.ExecResult{}, err
	}
	result, err := e.exec(ctx, id, cmd)
	return e.executed(ctx, name, cmd, result, err)
}

// runningID returns the id of a container, which must run.
func (e *Engine) runningID(ctx context.Context, name string) (string, error) {
	info, err := e.Inspect(ctx, name)
	if err == nil && info.State != runtime.Running {
		err = fault.New(fault.Unhealthy, "run a command in %s: the container does not run", name)
	}
	return info.ID, err
}

// executed returns the result of a command, or its error translated.
func (e *Engine) executed(ctx context.Context, name string, cmd []string, result runtime.ExecResult, err error) (runtime.ExecResult, error) {
	if err == nil && (result.ExitCode == 126 || result.ExitCode == 127) {
		err = notExecuted(result)
	}
	if err != nil {
		return runtime.ExecResult{}, e.translate(ctx, err, "run %s in %s", strings.Join(cmd, " "), name)
	}
	return result, nil
}

// notExecuted returns podman's error if the command could not be executed. Podman
// reports it as a shell does, in the output: the first line is podman's own, and
// ends with the OCI runtime's error.
func notExecuted(result runtime.ExecResult) error {
	text := strings.TrimSpace(result.Output())
	first, _, _ := strings.Cut(text, "\n")
	if own, found := strings.CutPrefix(first, "Error: "); found && (strings.HasSuffix(first, ": OCI permission denied") ||
		strings.HasSuffix(first, ": OCI runtime attempted to invoke a command that was not found") || strings.HasSuffix(first, ": OCI runtime error")) {
		if _, found := chainOf(own).kind(commandCauses); found {
			return errors.New(text)
		}
	}
	return nil
}

// exec runs a command with some more variables, "NAME=value".
func (e *Engine) exec(ctx context.Context, id string, cmd []string, env ...string) (runtime.ExecResult, error) {
	var result runtime.ExecResult
	var session struct{ ID string }
	create := map[string]any{"Cmd": cmd, "AttachStdout": true, "AttachStderr": true, "Env": env}
	if err := e.ask(ctx, post("/containers/%s/exec", id).sending(create), &session); err != nil {
		return result, err
	}
	if err := e.attach(ctx, session.ID, &result); err != nil {
		return result, err
	}
	var ended struct{ ExitCode int }
	if err := e.ask(ctx, get("/exec/%s/json", session.ID), &ended); err != nil {
		return result, err
	}
	result.ExitCode = ended.ExitCode
	return result, nil
}

// attach starts an exec session and reads its output to the end. A request
// without an upgrade of the connection gets the output as the response's body.
func (e *Engine) attach(ctx context.Context, session string, into *runtime.ExecResult) error {
	body, err := e.open(ctx, post("/exec/%s/start", session).sending(map[string]bool{"Detach": false, "Tty": false}))
	if err != nil {
		return err
	}
	defer body.Close()
	return printed.Frames(body, func(stderr bool, frame []byte) bool {
		into.Print(stderr, frame)
		return true
	})
}
