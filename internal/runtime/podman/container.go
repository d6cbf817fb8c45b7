package podman

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// removeTries bounds the attempts of Remove at a container that its restart
// policy starts again.
const removeTries = 3

// Remove removes a container at once, running or not.
func (e *Engine) Remove(ctx context.Context, name string) error {
	info, err := e.Inspect(ctx, name)
	id, files := info.ID, info.Labels[labelFiles]
	for try := 1; err == nil; try++ {
		refused := e.remove(ctx, info)
		// Whatever podman answers, the container must no longer exist.
		info, err = e.Inspect(ctx, info.ID)
		if err == nil && try == removeTries {
			if refused == nil {
				refused = fault.New(fault.Internal, "remove container %s: podman reports success, but the container exists", name)
			}
			return refused
		}
	}
	if fault.Is(err, fault.NotFound) {
		e.stops.forget(id)
		if files != "" {
			_ = e.sweepFiles(ctx) // the next removal sweeps what is left
		}
		return nil
	}
	return err
}

func (e *Engine) remove(ctx context.Context, info runtime.ContainerInfo) error {
	var removed []struct{ Err any }
	// Without a timeout, force would wait for the container's stop timeout.
	err := e.ask(ctx, del("/containers/%s", info.ID).with(url.Values{
		"force": {"true"}, "volumes": {"true"}, "ignore": {"true"}, "timeout": {"0"},
	}), &removed)
	for _, r := range removed {
		if r.Err != nil {
			err = errors.Join(err, fmt.Errorf("podman reports %v", r.Err))
		}
	}
	if err != nil {
		return e.translate(ctx, err, "remove container %s", info.Name)
	}
	return nil
}

// Rename gives a container another name.
func (e *Engine) Rename(ctx context.Context, from, to string) error {
	if from == to || mayBeginID(from) {
		info, err := e.Inspect(ctx, from)
		if err != nil || info.Name == to {
			return err
		}
	}
	err := e.ask(ctx, post("/containers/%s/rename", from).with(url.Values{"name": {to}}), nil)
	if err != nil {
		return e.translate(ctx, err, "rename container %s to %s", from, to)
	}
	return nil
}

// mayBeginID reports whether podman could mistake a name for an id prefix.
func mayBeginID(name string) bool { return strings.Trim(name, "0123456789abcdef") == "" }
