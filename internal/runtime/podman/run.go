package podman

import (
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/creation"
)

// cleanupTime bounds the work after the caller's context has ended.
const cleanupTime = 15 * time.Second

// createTime bounds the wait for the container that another caller is creating.
const createTime = 2 * time.Second

// Run creates and starts a container, unless an earlier call did.
func (e *Engine) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	info, err := e.Inspect(ctx, spec.Name)
	// A container with other ports is left from an attempt whose ports were
	// taken and whose clean-up failed; one in Removing from a removal that was
	// interrupted.
	if err == nil && spec.MatchesLabels(info.Labels) && (!samePorts(info, spec) || info.State == runtime.Removing) {
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
	default: // its files may be gone, if podman created it after its answer was given up
		if err := e.keepFiles(ctx, spec); err != nil {
			return "", err
		}
	}
	if err := e.start(ctx, info); err != nil {
		return "", e.discard(ctx, info, err)
	}
	return info.ID, nil
}

// discard removes a container that could not be started for that reason, even if
// the caller's context has ended, and returns the reason. If the removal fails,
// the message includes its error; the next Run of the same container replaces
// the remains.
func (e *Engine) discard(ctx context.Context, info runtime.ContainerInfo, reason error) error {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if err := e.Remove(detached, info.ID); err != nil {
		// Only the reason determines the kind of the error.
		return fmt.Errorf("%w; then %s", reason, err.Error())
	}
	return reason
}

// create creates a container. If podman's answer is an error, create inspects the
// container: the request may have succeeded although the answer was lost, or
// another caller with the same spec may have created it.
func (e *Engine) create(ctx context.Context, spec runtime.ContainerSpec) (runtime.ContainerInfo, error) {
	id, err := e.askToCreate(ctx, spec)
	if err == nil {
		return runtime.ContainerInfo{
			ID: id, Name: spec.Name, State: runtime.Created, Labels: spec.Labels, Ports: spec.Published(), Networks: networkNames(spec),
		}, nil
	}
	err = e.translate(ctx, err, "create container %s from %s", spec.Name, spec.Image)
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	info, inspectErr := e.Inspect(detached, spec.Name)
	if fault.Is(err, fault.Conflict) {
		// Podman reserves a name some time before it shows the container.
		for began := time.Now(); fault.Is(inspectErr, fault.NotFound) && time.Since(began) < createTime && pause(detached) == nil; {
			info, inspectErr = e.Inspect(detached, spec.Name)
		}
	}
	switch {
	case fault.Is(err, fault.Conflict) && fault.Is(inspectErr, fault.NotFound):
		return runtime.ContainerInfo{}, fault.Wrap(fault.Unavailable, err, "podman shows no container with that name").
			WithHint("find a partly created container with podman ps --all --external, and remove it with podman rm --force")
	case inspectErr != nil:
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

// askToCreate makes the container's files and asks podman to create it. Until podman has
// answered no file is swept.
func (e *Engine) askToCreate(ctx context.Context, spec runtime.ContainerSpec) (id string, err error) {
	e.placing.RLock()
	defer e.placing.RUnlock()
	var host creation.Host
	if host.Files, err = e.placeFiles(ctx, &spec); err != nil {
		return "", err
	}
	if len(host.Files) > 0 || spec.Hosts != "" {
		info, err := e.Info(ctx)
		if err != nil {
			return "", err
		}
		host.Relabel = info.SELinux
	}
	if len(spec.Container.Ulimits) > 0 {
		host.Limits = e.process(ctx).Limits()
	}
	wanted, err := creation.New(spec, host)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "create container %s", spec.Name)
	}
	var created struct{ ID string }
	err = e.ask(ctx, post("/containers/create").sending(wanted), &created)
	return created.ID, err
}
