package podman

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/creation"
)

// restPeriod is how long a container must have been stopped for Stop to conclude
// that its restart policy will not start it; podman restarts within a second.
const restPeriod = 3 * time.Second

// Stop stops a container, killing it after timeout, which is rounded up to whole
// seconds.
//
// Podman records that a container was stopped on purpose only if the container
// ran at that moment. A container that crashes in a loop is mostly between two
// runs: podman then reports that the container is stopped already, or that it has
// stopped it, and restarts it. So Stop repeats until a stop ended a run, or the
// container has been stopped for restPeriod, or for stopGrace longer than timeout.
func (e *Engine) Stop(ctx context.Context, name string, timeout time.Duration) error {
	for began := time.Now(); ; {
		data, err := e.inspect(ctx, name)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if staysStopped(data) {
			return nil
		}
		sent := time.Now()
		stopped, err := e.stopOnce(ctx, data.ID, timeout)
		if err != nil {
			return e.translate(ctx, err, "stop container %s", name)
		}
		if stopped && restarts(data) {
			stopped, err = e.endedRun(ctx, data.ID, sent)
			if err != nil {
				return err
			}
		}
		if stopped {
			return nil
		}
		if time.Since(began) > timeout+stopGrace {
			return fault.New(fault.Unavailable, "stop container %s: its restart policy starts it again and again", name)
		}
		if err := pause(ctx); err != nil {
			return e.translate(ctx, err, "stop container %s", name)
		}
	}
}

// endedRun reports whether a stop that podman reports as done ended a run of the
// container that began before the stop was sent. If the program had ended that run
// just before, podman may still apply the restart policy.
func (e *Engine) endedRun(ctx context.Context, id string, sent time.Time) (bool, error) {
	data, err := e.inspect(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return stateOf(data.State.Status) != runtime.Running &&
		data.State.StartedAt.Before(sent) && data.State.FinishedAt.After(sent), nil
}

// staysStopped reports whether a container does not run and podman will not
// restart it.
func staysStopped(data *inspected) bool {
	if data.State.Status == initialized {
		return false
	}
	switch stateOf(data.State.Status) {
	case runtime.Created, runtime.Removing:
		return true
	case runtime.Stopped:
		return !restarts(data) || time.Since(data.State.FinishedAt) > restPeriod
	}
	return false
}

// restarts reports whether the container's restart policy may start it.
func restarts(data *inspected) bool {
	policy := data.HostConfig.RestartPolicy.Name
	return policy != "" && policy != "no"
}

// stopOnce sends a stop and reports whether the container ran and was stopped, or
// no longer exists. Podman answers 304 if it was stopped already.
func (e *Engine) stopOnce(ctx context.Context, id string, timeout time.Duration) (bool, error) {
	params := url.Values{"timeout": {strconv.FormatUint(uint64(creation.Seconds(timeout)), 10)}}
	e.stops.send(id)
	r := post("/containers/%s/stop", id).with(params)
	r.extra = timeout
	response, err := e.send(ctx, r)
	if err != nil {
		return false, err // podman may stop it nevertheless
	}
	e.stops.answered(id)
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return true, nil // removed meanwhile
	}
	return response.StatusCode != http.StatusNotModified, response.Process(nil)
}
