package podman

import (
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/forwards"
)

// lateStopTime is how long Start waits for the effect of an unanswered stop.
// Podman shows a stop as soon as it holds the container's lock.
const lateStopTime = time.Second

// Start starts a stopped container. A stop whose caller was cancelled or killed
// continues in podman; Start waits for it to end, and then starts the container.
func (e *Engine) Start(ctx context.Context, name string) error {
	info, err := e.Inspect(ctx, name)
	if err != nil {
		return err
	}
	return e.start(ctx, info)
}

// start starts a container, given a fresh inspection, unless it runs. Each stop
// that this Engine has sent without getting an answer may end the container once.
// One has done so if the container does not run; start watches for the others.
func (e *Engine) start(ctx context.Context, info runtime.ContainerInfo) error {
	unanswered := e.stops.unanswered(info.ID)
	for {
		if info.State == runtime.Stopped || info.State == runtime.Other {
			unanswered--
		}
		err := e.startOnce(ctx, info)
		if err == nil && unanswered > 0 {
			if info, err = e.watchForStop(ctx, info.ID); err == nil && info.State != runtime.Running {
				continue
			}
		}
		if err == nil {
			e.stops.forget(info.ID)
		}
		return err
	}
}

// startOnce starts a container unless it runs. After an error of podman it checks
// the container's state: the container may run, because the answer was lost or
// another caller started it, or a stop may just have begun. One that is still initialized is
// stopped first: podman was killed after the start of its program, and cannot start it again.
func (e *Engine) startOnce(ctx context.Context, info runtime.ContainerInfo) error {
	for stopped := false; ; {
		var err error
		info, err = e.awaitStopped(ctx, info)
		if err != nil || info.State == runtime.Running {
			return err
		}
		if info, err = e.rejoin(ctx, info); err != nil {
			return err
		}
		forwards.Remove(ctx, info.Ports)
		cause := e.ask(ctx, post("/containers/%s/start", info.ID), nil)
		if cause == nil {
			return nil
		}
		err = e.translate(ctx, cause, "start container %s", info.Name)
		if fault.Is(err, fault.PortInUse) {
			return portInUse(cause, info)
		}
		if left, leaveErr := e.leaveAddress(ctx, cause, info); leaveErr != nil {
			return leaveErr
		} else if left {
			info.Networks = nil
			continue
		}
		data, inspectErr := e.inspect(ctx, info.ID)
		switch {
		case inspectErr != nil:
			return err
		case data.State.Status == stopping:
			continue
		case stateOf(data.State.Status) == runtime.Running:
			return nil
		case data.State.Status != initialized || stopped:
			return err
		}
		stopped = true
		if err := e.Stop(ctx, info.ID, time.Duration(data.Config.StopTimeout)*time.Second); err != nil {
			return err
		}
	}
}

// awaitStopped waits until a container that is stopping has stopped. If podman was
// killed during the stop, the state stays "stopping" and a container that ignores
// the signal is not killed; so a container that exceeds its stop timeout is
// stopped again.
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
		if timeout := time.Duration(data.Config.StopTimeout) * time.Second; time.Since(began) > timeout+restPeriod {
			if err := e.Stop(ctx, info.ID, timeout); err != nil {
				return info, err
			}
		}
		if err := pause(ctx); err != nil {
			return info, e.translate(ctx, err, "start container %s, which is stopping", info.Name)
		}
	}
}

// watchForStop watches a running container until it stops, for lateStopTime at
// most, and returns its last description.
func (e *Engine) watchForStop(ctx context.Context, id string) (runtime.ContainerInfo, error) {
	for began := time.Now(); ; {
		info, err := e.Inspect(ctx, id)
		if err != nil || info.State != runtime.Running || time.Since(began) > lateStopTime {
			return info, err
		}
		if err := pause(ctx); err != nil {
			return info, e.translate(ctx, err, "start container %s", info.Name)
		}
	}
}

// portInUse returns the error for a port that could not be bound. It names the
// port if podman's error does, or if the container has only one.
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
