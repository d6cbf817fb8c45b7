package podman

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// restPeriod is how long a container must have rested for Stop to believe that
// its restart policy leaves it alone; podman restarts within a second.
const restPeriod = 3 * time.Second

// lookPause is how often Stop and Start look at a container that they wait for.
const lookPause = 20 * time.Millisecond

// Stop stops a container, killing it after timeout. Whole seconds count.
//
// Podman remembers that a container was stopped on purpose only when it ran at
// that moment. One that crashes in a loop is met between two of its lives more
// often than not, podman then says that it is stopped already, or that it has
// stopped it, and starts it again; so Stop goes on until it has met it alive,
// or has seen it rest.
func (e *Engine) Stop(ctx context.Context, name string, timeout time.Duration) error {
	for {
		data, err := e.inspect(ctx, name)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if rests(data) {
			return nil
		}
		asked := time.Now()
		stopped, err := e.stopOnce(ctx, data.ID, timeout)
		if err != nil {
			return e.translate(ctx, err, "stop container %s", name)
		}
		if stopped && restarts(data) {
			stopped, err = e.metAlive(ctx, data.ID, asked)
			if err != nil {
				return err
			}
		}
		if stopped {
			return nil
		}
		if err := pause(ctx); err != nil {
			return e.translate(ctx, err, "stop container %s", name)
		}
	}
}

// metAlive reports whether a stop that podman says it has made ended the life
// that the container led when podman was asked. Where that one had just ended,
// podman may still carry out the restart policy.
func (e *Engine) metAlive(ctx context.Context, id string, asked time.Time) (bool, error) {
	data, err := e.inspect(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return stateOf(data.State.Status) != runtime.Running &&
		data.State.StartedAt.Before(asked) && data.State.FinishedAt.After(asked), nil
}

// pause passes the time between two looks at a container.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(lookPause):
		return nil
	}
}

// rests reports whether a container is not running and will not by itself.
func rests(data *inspected) bool {
	switch stateOf(data.State.Status) {
	case runtime.Created, runtime.Removing:
		return true
	case runtime.Stopped:
		return !restarts(data) || time.Since(data.State.FinishedAt) > restPeriod
	}
	return false
}

// restarts reports whether podman may start the container by itself.
func restarts(data *inspected) bool {
	policy := data.HostConfig.RestartPolicy.Name
	return policy != "" && policy != "no"
}

// stopOnce reports whether the container ran and was stopped: not modified is
// podman's word for one that was stopped already.
func (e *Engine) stopOnce(ctx context.Context, id string, timeout time.Duration) (bool, error) {
	params := url.Values{"timeout": {strconv.FormatUint(uint64(seconds(timeout)), 10)}}
	e.stops.send(id)
	response, err := e.send(ctx, post("/containers/%s/stop", id).with(params))
	if err != nil {
		return false, err // and podman may be about to stop it all the same
	}
	e.stops.answered(id)
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return true, nil // it was removed since
	}
	return response.StatusCode != http.StatusNotModified, response.Process(nil)
}

// seconds rounds up: a container that was promised half a second gets one.
func seconds(d time.Duration) uint { return uint(max(0, math.Ceil(d.Seconds()))) }
