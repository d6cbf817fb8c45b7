package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/containers/podman/v5/pkg/api/handlers"
	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	dockercontainer "github.com/docker/docker/api/types/container"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Exec runs a command in a running container, and returns the beginning of its
// output. When the context ends the answer is not waited for, but the command
// may go on in the container.
func (e *Engine) Exec(ctx context.Context, name string, cmd []string) (runtime.ExecResult, error) {
	info, err := e.Inspect(ctx, name)
	if err != nil {
		return runtime.ExecResult{}, err
	}
	if info.State != runtime.Running {
		return runtime.ExecResult{}, fault.New(fault.Unhealthy, "run a command in %s: the container does not run", name)
	}
	result, err := e.exec(ctx, info.ID, cmd)
	// A command that is not there is told as a shell would, on the output.
	if err == nil && (result.ExitCode == 126 || result.ExitCode == 127) {
		if kind, _ := diagnose(result.Output(), symptoms); kind == fault.Invalid {
			err = errors.New(strings.TrimSpace(result.Output()))
		}
	}
	if err != nil {
		return runtime.ExecResult{}, e.translate(ctx, err, "run %s in %s", strings.Join(cmd, " "), name)
	}
	return result, nil
}

func (e *Engine) exec(ctx context.Context, id string, cmd []string) (runtime.ExecResult, error) {
	var result runtime.ExecResult
	call, err := e.call(ctx)
	if err != nil {
		return result, err
	}
	session, err := containers.ExecCreate(call, id, &handlers.ExecCreateConfig{
		ExecOptions: dockercontainer.ExecOptions{Cmd: cmd, AttachStdout: true, AttachStderr: true},
	})
	if err != nil {
		return result, err
	}
	if err := attach(call, session, &result); err != nil {
		return result, err
	}
	inspected, err := containers.ExecInspect(call, session, nil)
	if err != nil {
		return result, err
	}
	result.ExitCode = inspected.ExitCode
	return result, nil
}

// attach starts an exec session and reads its output to the end. The bindings'
// own way swaps the transport of the connection that all calls share, and
// cannot be cancelled; without the upgrade that it asks for, podman sends the
// same stream as the body of a plain answer.
func attach(call context.Context, session string, into *runtime.ExecResult) error {
	client, err := bindings.GetClient(call)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]bool{"Detach": false, "Tty": false})
	if err != nil {
		return err
	}
	response, err := client.DoRequest(call, bytes.NewReader(body), http.MethodPost, "/exec/%s/start", nil, nil, session)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if !response.IsSuccess() {
		return response.Process(nil)
	}
	return demultiplex(response.Body, func(stream byte, frame []byte) bool {
		into.Print(stream == stderrStream, frame)
		return true
	})
}
