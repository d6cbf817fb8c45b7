package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

const (
	// firstPause is the pause after the first failed probe. Each pause is half as long
	// again as the one before, up to the interval, so that a container is found
	// healthy after at most one and a half times the time that it took.
	firstPause = 10 * time.Millisecond
	// logLines is how many lines of a failed container's output an error holds.
	logLines = 10
	// logLine is how many bytes of each line it holds, and checkOutput how many of
	// the output of a check.
	logLine     = 2 << 10
	checkOutput = 16 << 10
)

// check tests once whether a container serves.
type check func(ctx context.Context) error

// exited is the error of a check after which no other can succeed.
type exited struct{ container runtime.ContainerInfo }

func (e exited) Error() string { return e.container.End() }

// awaitHealthy returns when the container is healthy, or will not become healthy.
func (a *Node) awaitHealthy(ctx context.Context, r *reporter, c ComponentSpec, name string) error {
	health := c.Definition.Health
	checks := a.checks(c, name)
	allow(ctx, time.Duration(health.Interval)+time.Duration(max(1, len(checks)))*time.Duration(health.Timeout))
	r.set("health", name)
	started := time.Now()
	deadline := started.Add(time.Duration(health.StartPeriod))
	pause, failures := firstPause, 0
	for attempt := 1; ; attempt++ {
		err := a.probe(ctx, name, checks, attempt)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fault.Is(err, fault.Unavailable) {
			return err // the engine is away, which shows nothing about the container
		}
		past := !time.Now().Before(deadline)
		switch {
		case err == nil && (len(checks) > 0 || past):
			return nil
		case errors.As(err, new(exited)):
			return a.unhealthy(ctx, name, err)
		case err != nil && past:
			if failures++; failures >= health.Retries {
				return a.unhealthy(ctx, name, fmt.Errorf("not healthy after %s and %d probes: %w",
					time.Since(started).Round(time.Second), attempt, err))
			}
		}
		if err != nil {
			r.set("health", fmt.Sprintf("probe %d: %v", attempt, err))
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(pause+pause/2, time.Duration(health.Interval))
		if len(checks) == 0 {
			pause = min(pause, 100*time.Millisecond) // this only checks whether it still runs
		}
	}
}

// probe runs all checks of a container, and checks that it still runs, because another
// process may answer. A container that has just been started and does not answer yet
// is not inspected.
func (a *Node) probe(ctx context.Context, name string, checks []check, attempt int) error {
	for _, check := range checks {
		if err := check(ctx); err != nil {
			if attempt > 1 {
				err = cmp.Or(a.alive(ctx, name), err)
			}
			return err
		}
	}
	return a.alive(ctx, name)
}

// alive fails when the container no longer runs, or had to be restarted.
func (a *Node) alive(ctx context.Context, name string) error {
	info, err := a.Runtime.Inspect(ctx, name)
	switch {
	case err != nil:
		return err
	case info.Restarts > 0, info.State == runtime.Stopped:
		return exited{info}
	}
	return nil
}

// checks returns the checks that a healthy container passes; none if it has no
// address to probe.
func (a *Node) checks(c ComponentSpec, name string) []check {
	health := c.Definition.Health
	timeout := time.Duration(health.Timeout)
	addresses := a.addresses(c)
	switch {
	case len(health.Cmd) > 0:
		return []check{a.execCheck(name, health.Cmd, timeout)}
	case health.HTTP != "" && len(addresses) > 0:
		return []check{func(ctx context.Context) error {
			return a.Probe.HTTP(ctx, "http://"+addresses[0]+health.HTTP, timeout)
		}}
	case health.TCP && len(addresses) > 0:
		addresses = addresses[:1]
	}
	checks := make([]check, 0, len(addresses))
	for _, address := range addresses {
		checks = append(checks, func(ctx context.Context) error {
			return a.Probe.TCP(ctx, address, timeout)
		})
	}
	return checks
}

// execCheck runs a command in the container, which must exit 0.
func (a *Node) execCheck(name string, command []string, timeout time.Duration) check {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		result, err := a.Runtime.Exec(ctx, name, command)
		if err != nil {
			return err
		}
		if output := result.Output(); result.ExitCode != 0 {
			return fmt.Errorf("%v exited with code %d: %s", command, result.ExitCode, output[:min(len(output), checkOutput)])
		}
		return nil
	}
}

// addresses returns where this host reaches the component's routes, and then its
// tcp ports.
func (a *Node) addresses(c ComponentSpec) []string {
	var found []string
	for _, r := range c.Routes {
		found = append(found, dialable(a.Publish, r.HostPort))
	}
	for _, p := range c.Definition.StaticPorts() {
		if p.Protocol == "tcp" {
			found = append(found, dialable(p.IP, p.Host))
		}
	}
	return found
}

// dialable returns the address to dial for a port that is published on ip.
func dialable(ip string, port int) string {
	if parsed := net.ParseIP(ip); parsed == nil || parsed.IsUnspecified() {
		ip = "127.0.0.1"
	}
	return net.JoinHostPort(ip, strconv.Itoa(port))
}

// unhealthy is the fault of a container that did not become healthy, with the last
// lines of its output.
func (a *Node) unhealthy(ctx context.Context, name string, cause error) error {
	f := fault.Wrap(fault.Unhealthy, cause, "container %s", name)
	lines, err := runtime.LastLines(ctx, a.Runtime, name, logLines, logLine)
	if err != nil {
		lines = []string{fmt.Sprintf("(its output could not be read: %v)", err)}
	}
	f.Log = lines
	if ended := (exited{}); errors.As(cause, &ended) {
		f = ended.container.Failure(lines)
	}
	return f
}

// sleep pauses, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
