package podman

import (
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// stopping is podman's name for the state of a container that was told to stop
// and has not ended yet.
const stopping = "stopping"

// lookTime is for how long Start looks out for a stop that podman has been sent
// but does not show yet. Podman shows one as soon as it has the container's lock.
const lookTime = time.Second

// Start starts a stopped container. A stop whose caller has gone, cancelled or
// killed, goes on in podman; Start waits for its end, and then starts.
func (e *Engine) Start(ctx context.Context, name string) error {
	info, err := e.Inspect(ctx, name)
	if err != nil {
		return err
	}
	return e.start(ctx, info)
}

// start starts a container that was just inspected, unless it runs. Each stop
// that this Engine has sent and had no answer to may end the container once: it
// already did so where the container does not run, and the rest are looked out
// for.
func (e *Engine) start(ctx context.Context, info runtime.ContainerInfo) error {
	unanswered := e.stops.unanswered(info.ID)
	for {
		if info.State == runtime.Stopped || info.State == runtime.Other {
			unanswered--
		}
		err := e.startOnce(ctx, info)
		if err == nil && unanswered > 0 {
			if info, err = e.lookOut(ctx, info.ID); err == nil && info.State != runtime.Running {
				continue
			}
		}
		if err == nil {
			e.stops.forget(info.ID)
		}
		return err
	}
}

// startOnce starts a container unless it runs. An error does not mean that it
// was not started: the answer was lost, or another caller was faster. Nor does
// it mean that it cannot be: a stop may just have begun.
func (e *Engine) startOnce(ctx context.Context, info runtime.ContainerInfo) error {
	for {
		info, err := e.awaitStopped(ctx, info)
		if err != nil || info.State == runtime.Running {
			return err
		}
		cause := e.ask(ctx, post("/containers/%s/start", info.ID), nil)
		if cause == nil {
			return nil
		}
		err = e.translate(ctx, cause, "start container %s", info.Name)
		if fault.Is(err, fault.PortInUse) {
			return portInUse(cause, info)
		}
		data, lookErr := e.inspect(ctx, info.ID)
		switch {
		case lookErr != nil:
			return err
		case data.State.Status == stopping:
			continue
		case stateOf(data.State.Status) == runtime.Running:
			return nil
		}
		return err
	}
}

// awaitStopped waits until a container that is stopping has stopped. Where
// podman was killed during a stop, nothing will kill a container that ignores
// the signal, and podman says "stopping" for ever: one that has had its whole
// time to stop is stopped anew.
func (e *Engine) awaitStopped(ctx context.Context, info runtime.ContainerInfo) (runtime.ContainerInfo, error) {
	if info.State != runtime.Other {
		return info, nil
	}
	for began := time.Now(); ; {
		data, err := e.inspect(ctx, info.ID)
		if err != nil {
			return info, err
		}
		if data.State.Status != stopping {
			return describe(data), nil
		}
		if own := time.Duration(data.Config.StopTimeout) * time.Second; time.Since(began) > own+restPeriod {
			if err := e.Stop(ctx, info.ID, own); err != nil {
				return info, err
			}
		}
		if err := pause(ctx); err != nil {
			return info, e.translate(ctx, err, "start container %s, which is stopping", info.Name)
		}
	}
}

// lookOut watches a running container for a while and returns what it finds:
// that it still runs, or that it does not.
func (e *Engine) lookOut(ctx context.Context, id string) (runtime.ContainerInfo, error) {
	for began := time.Now(); ; {
		info, err := e.Inspect(ctx, id)
		if err != nil || info.State != runtime.Running || time.Since(began) > lookTime {
			return info, err
		}
		if err := pause(ctx); err != nil {
			return info, e.translate(ctx, err, "start container %s", info.Name)
		}
	}
}

// portInUse says which port a container could not have, as far as the engine
// or the number of its ports tells.
func portInUse(cause error, info runtime.ContainerInfo) error {
	port := refusedPort(cause.Error())
	if port == 0 && len(info.Ports) == 1 {
		port = info.Ports[0].Host
	}
	which := "a host port"
	if port != 0 {
		which = fmt.Sprintf("host port %d", port)
	}
	result := fault.Wrap(fault.PortInUse, cause, "start container %s: %s is in use", info.Name, which)
	result.Port = port
	return result
}
