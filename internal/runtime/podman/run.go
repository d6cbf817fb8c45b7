package podman

import (
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// cleanupTime bounds what is done after the caller's context has ended.
const cleanupTime = 15 * time.Second

// createTime is how long Run waits to see the container that another caller is
// creating.
const createTime = 2 * time.Second

// Run creates and starts a container, or finds that it did so before.
func (e *Engine) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	info, err := e.Inspect(ctx, spec.Name)
	// One that was given other ports could not have those, and could not be
	// removed then; or its removal was cut off.
	if err == nil && sameLabels(info, spec) && (!samePorts(info, spec) || info.State == runtime.Removing) {
		if err := e.Remove(ctx, info.ID); err != nil {
			return "", err
		}
		info, err = e.Inspect(ctx, spec.Name)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		info, err = e.create(ctx, spec)
		if err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	case !sameContainer(info, spec):
		return "", conflict(info, spec)
	}
	if err := e.start(ctx, info); err != nil {
		return "", e.discard(ctx, info, err)
	}
	return info.ID, nil
}

// discard removes a container that could not be started, also when the
// caller's context has ended, and returns the reason why it could not. When the
// removal fails too, the message says so; the next Run of the same container
// finds what is left.
func (e *Engine) discard(ctx context.Context, info runtime.ContainerInfo, reason error) error {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if err := e.Remove(detached, info.ID); err != nil {
		// Only the reason decides what kind of error this is.
		return fmt.Errorf("%w; then %s", reason, err.Error())
	}
	return reason
}

// create creates a container. When podman's answer is an error it looks again:
// the request may have arrived though its answer did not, or another caller
// with the same wish may have been faster.
func (e *Engine) create(ctx context.Context, spec runtime.ContainerSpec) (runtime.ContainerInfo, error) {
	wanted, err := newCreation(spec)
	if err != nil {
		return runtime.ContainerInfo{}, fault.Wrap(fault.Invalid, err, "create container %s", spec.Name)
	}
	var created struct{ ID string }
	err = e.ask(ctx, post("/containers/create").sending(wanted), &created)
	if err == nil {
		return runtime.ContainerInfo{
			ID: created.ID, Name: spec.Name, State: runtime.Created, Labels: spec.Labels, Ports: publishedBy(spec),
		}, nil
	}
	err = e.translate(ctx, err, "create container %s from %s", spec.Name, spec.Image)
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	info, lookErr := e.Inspect(detached, spec.Name)
	if fault.Is(err, fault.Conflict) {
		// Podman takes a name some time before it shows who has it.
		for began := time.Now(); fault.Is(lookErr, fault.NotFound) && time.Since(began) < createTime && pause(detached) == nil; {
			info, lookErr = e.Inspect(detached, spec.Name)
		}
	}
	switch {
	case fault.Is(err, fault.Conflict) && fault.Is(lookErr, fault.NotFound):
		return runtime.ContainerInfo{}, fault.Wrap(fault.Unavailable, err, "podman does not show who has the name").
			WithHint("podman ps --all --external shows a container that was left half-made, and podman rm --force removes it")
	case lookErr != nil:
		return runtime.ContainerInfo{}, err
	case !sameContainer(info, spec):
		return runtime.ContainerInfo{}, conflict(info, spec)
	case ctx.Err() != nil:
		if info.State == runtime.Created {
			_ = e.Remove(detached, info.ID)
		}
		return runtime.ContainerInfo{}, err
	}
	return info, nil
}
