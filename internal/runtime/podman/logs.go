package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/containers/podman/v5/pkg/api/handlers"
	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	dockercontainer "github.com/docker/docker/api/types/container"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Logs returns the last lines of a container's output.
func (e *Engine) Logs(ctx context.Context, name string, lines int) ([]string, error) {
	info, err := e.Inspect(ctx, name)
	if err != nil {
		return nil, err
	}
	if lines <= 0 || info.State == runtime.Created {
		return nil, nil
	}
	call, err := e.call(ctx)
	if err != nil {
		return nil, e.translate(ctx, err, "read logs of %s", name)
	}
	// One channel for both streams keeps their order.
	frames, done := make(chan string), make(chan struct{})
	last := tail{keep: lines}
	go func() {
		defer close(done)
		text := &lineWriter{emit: last.add}
		for frame := range frames {
			_, _ = io.WriteString(text, frame)
		}
		if len(text.partial) > 0 {
			text.end()
		}
	}()
	err = containers.Logs(call, info.ID, new(containers.LogOptions).
		WithStdout(true).WithStderr(true).WithTail(strconv.Itoa(lines)), frames, frames)
	close(frames)
	<-done
	if err != nil {
		return nil, e.translate(ctx, err, "read logs of %s", name)
	}
	return last.lines, nil
}

// Exec runs a command in a running container, and returns the beginning of its
// output. When the context ends the answer is not waited for, but the command
// may go on in the container.
func (e *Engine) Exec(ctx context.Context, name string, cmd []string) (int, string, error) {
	info, err := e.Inspect(ctx, name)
	if err != nil {
		return 0, "", err
	}
	if info.State != runtime.Running {
		return 0, "", fault.New(fault.Unhealthy, "run a command in %s: the container does not run", name)
	}
	code, output, err := e.exec(ctx, info.ID, cmd)
	// A command that is not there is told as a shell would, on the output.
	if kind, _ := diagnose(output, symptoms); err == nil && (code == 126 || code == 127) && kind == fault.Invalid {
		err = errors.New(strings.TrimSpace(output))
	}
	if err != nil {
		return 0, "", e.translate(ctx, err, "run %s in %s", strings.Join(cmd, " "), name)
	}
	return code, output, nil
}

func (e *Engine) exec(ctx context.Context, id string, cmd []string) (int, string, error) {
	call, err := e.call(ctx)
	if err != nil {
		return 0, "", err
	}
	session, err := containers.ExecCreate(call, id, &handlers.ExecCreateConfig{
		ExecOptions: dockercontainer.ExecOptions{Cmd: cmd, AttachStdout: true, AttachStderr: true},
	})
	if err != nil {
		return 0, "", err
	}
	output, err := attach(call, session)
	if err != nil {
		return 0, "", err
	}
	result, err := containers.ExecInspect(call, session, nil)
	if err != nil {
		return 0, "", err
	}
	return result.ExitCode, output, nil
}

// maxOutput is how much of a command's output is kept.
const maxOutput = 16 << 10

// attach starts an exec session and reads its output to the end. The bindings'
// own way swaps the transport of the connection that all calls share, and
// cannot be cancelled; without the upgrade that it asks for, podman sends the
// same stream as the body of a plain answer.
func attach(call context.Context, session string) (string, error) {
	client, err := bindings.GetClient(call)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]bool{"Detach": false, "Tty": false})
	if err != nil {
		return "", err
	}
	response, err := client.DoRequest(call, bytes.NewReader(body), http.MethodPost, "/exec/%s/start", nil, nil, session)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if !response.IsSuccess() {
		return "", response.Process(nil)
	}
	var output strings.Builder
	buffer := make([]byte, 4096)
	for {
		_, size, err := containers.DemuxHeader(response.Body, buffer)
		if errors.Is(err, io.EOF) {
			return output.String(), nil
		}
		if err != nil {
			return "", err
		}
		frame, err := containers.DemuxFrame(response.Body, buffer, size)
		if err != nil {
			return "", err
		}
		output.Write(frame[:min(len(frame), maxOutput-output.Len())])
	}
}
