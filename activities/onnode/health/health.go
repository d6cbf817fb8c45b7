// Package health checks whether containers are healthy, as their definitions specify.
package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

const (
	// FirstPause is the pause after the first failed probe. Each pause is half as long
	// again as the one before, up to the interval, so that a container is found
	// healthy after at most one and a half times the time that it took.
	FirstPause = 10 * time.Millisecond
	// watchPause is the least pause between two probes of a container that is healthy
	// already, and the longest where it only has to run.
	watchPause = 100 * time.Millisecond
	// inexecutable is how long after the start the engine may be unable to execute the
	// command of a check, because the container's own program has yet to write it.
	inexecutable = 2 * time.Second
	// logLines is how many lines of a failed container's output an error holds, and
	// logLine how many bytes of each.
	logLines, logLine = 10, 2 << 10
)

// exited is the error of a check after which no other can succeed.
type exited struct{ container runtime.ContainerInfo }

func (e exited) Error() string { return e.container.End() }

// Await returns when the container has been healthy for as long as its
// definition requires, or will not become so.
func (h Checker) Await(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec, name string) error {
	health := c.Definition.Health
	checks := h.checks(c, name)
	attempt.Allow(ctx, time.Duration(health.Interval)+time.Duration(max(1, len(checks)))*time.Duration(health.Timeout))
	r.Set("health", name)
	started := time.Now()
	deadline := started.Add(time.Duration(health.StartPeriod))
	var since time.Time // when it became healthy; zero while it is not
	pause, failures := FirstPause, 0
	for tries := 1; ; tries++ {
		err := h.probe(ctx, name, checks, tries)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fault.Is(err, fault.Unavailable) {
			return err // the engine is away, which shows nothing about the container
		}
		past := !time.Now().Before(deadline)
		switch {
		case errors.As(err, new(exited)):
			if c.Definition.RunsOnce() && succeeded(err) {
				return nil
			}
			return h.unhealthy(ctx, name, err)
		case fault.Is(err, fault.Invalid) && time.Since(started) >= inexecutable:
			return h.unhealthy(ctx, name, err) // no later probe can succeed
		case err != nil && past:
			if failures++; failures >= health.Retries {
				return h.unhealthy(ctx, name, fmt.Errorf("not healthy after %s and %d probes: %w",
					time.Since(started).Round(time.Second), tries, err))
			}
		case err == nil && len(checks) == 0 && past:
			since = started
		case err == nil && len(checks) > 0 && since.IsZero():
			since = time.Now()
		}
		if err != nil {
			since = time.Time{}
			r.Set("health", fmt.Sprintf("probe %d: %v", tries, err))
		}
		wait := pause
		if !since.IsZero() {
			left := time.Duration(health.MinHealthy) - time.Since(since)
			if left <= 0 {
				return nil
			}
			r.Set("health", fmt.Sprintf("healthy; watched until it has been for %s", time.Duration(health.MinHealthy)))
			wait = min(max(pause, watchPause), left)
		}
		if err := attempt.Sleep(ctx, wait); err != nil {
			return err
		}
		pause = min(pause+pause/2, time.Duration(health.Interval))
		switch {
		case len(checks) == 0:
			pause = min(pause, watchPause) // this only checks whether it still runs
		case fault.Is(err, fault.Invalid):
			pause = min(pause, inexecutable/4)
		}
	}
}

// probe runs all checks of a container, and checks that it still runs, because another
// process may answer. A container that has just been started and does not answer yet
// is not inspected.
func (h Checker) probe(ctx context.Context, name string, checks []check, tries int) error {
	for _, check := range checks {
		if err := check(ctx); err != nil {
			if tries > 1 {
				err = cmp.Or(h.alive(ctx, name), err)
			}
			return err
		}
	}
	return h.alive(ctx, name)
}

// succeeded reports whether a container has ended for good, with exit code 0.
func succeeded(err error) bool {
	var end exited
	return errors.As(err, &end) && end.container.State == runtime.Stopped && end.container.ExitCode == 0
}

// alive fails when the container no longer runs, or had to be restarted.
func (h Checker) alive(ctx context.Context, name string) error {
	info, err := h.Runtime.Inspect(ctx, name)
	switch {
	case err != nil:
		return err
	case info.Restarts > 0, info.State == runtime.Stopped:
		return exited{info}
	}
	return nil
}

// unhealthy is the fault of a container that did not become healthy, with the last
// lines of its output.
func (h Checker) unhealthy(ctx context.Context, name string, cause error) error {
	f := fault.Wrap(fault.Unhealthy, cause, "container %s", name)
	lines, err := LastLines(ctx, h.Runtime, name)
	if err != nil {
		lines = []string{fmt.Sprintf("(its output could not be read: %v)", err)}
	}
	f.Log = lines
	if known := (*fault.Error)(nil); errors.As(cause, &known) {
		f.Hint = known.Hint
	}
	if ended := (exited{}); errors.As(cause, &ended) {
		f = ended.container.Failure(lines)
	}
	return f
}

// LastLines returns the last lines of a container's output, as many as an error holds.
func LastLines(ctx context.Context, engine runtime.Runtime, name string) ([]string, error) {
	return runtime.LastLines(ctx, engine, name, logLines, logLine)
}
