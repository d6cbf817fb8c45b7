package onnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

const (
	// firstPause is the pause after the first failed probe. Each pause is half as long
	// again as the one before, up to the interval, so that a container is found
	// healthy after at most one and a half times the time that it took.
	firstPause = 10 * time.Millisecond
	// watchPause is the least pause between two probes of a container that is healthy
	// already, and the longest where it only has to run.
	watchPause = 100 * time.Millisecond
	// inexecutable is how long after the start the engine may be unable to execute the
	// command of a check, because the container's own program has yet to write it.
	inexecutable = 2 * time.Second
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

// awaitHealthy returns when the container has been healthy for as long as its
// definition wants, or will not become so.
func (a *Node) awaitHealthy(ctx context.Context, r *attempt.Reporter, c activities.ComponentSpec, name string) error {
	health := c.Definition.Health
	checks := a.checks(c, name)
	attempt.Allow(ctx, time.Duration(health.Interval)+time.Duration(max(1, len(checks)))*time.Duration(health.Timeout))
	r.Set("health", name)
	started := time.Now()
	deadline := started.Add(time.Duration(health.StartPeriod))
	var since time.Time // when it became healthy; zero while it is not
	pause, failures := firstPause, 0
	for tries := 1; ; tries++ {
		err := a.probe(ctx, name, checks, tries)
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
			return a.unhealthy(ctx, name, err)
		case fault.Is(err, fault.Invalid) && time.Since(started) >= inexecutable:
			return a.unhealthy(ctx, name, err) // no later probe can succeed
		case err != nil && past:
			if failures++; failures >= health.Retries {
				return a.unhealthy(ctx, name, fmt.Errorf("not healthy after %s and %d probes: %w",
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
func (a *Node) probe(ctx context.Context, name string, checks []check, tries int) error {
	for _, check := range checks {
		if err := check(ctx); err != nil {
			if tries > 1 {
				err = cmp.Or(a.alive(ctx, name), err)
			}
			return err
		}
	}
	return a.alive(ctx, name)
}

// succeeded reports whether a container has ended for good, with exit code 0.
func succeeded(err error) bool {
	var end exited
	return errors.As(err, &end) && end.container.State == runtime.Stopped && end.container.ExitCode == 0
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
func (a *Node) checks(c activities.ComponentSpec, name string) []check {
	health := c.Definition.Health
	timeout := time.Duration(health.Timeout)
	addresses := a.addresses(c)
	if health.HTTP != "" || health.TCP {
		addresses = slices.DeleteFunc(addresses, func(at address) bool { return !health.Port.Is(at.route, at.port) })
	}
	switch {
	case len(health.Cmd) > 0:
		return []check{a.execCheck(name, health.Cmd, timeout)}
	case health.HTTP != "" && len(addresses) > 0:
		return []check{a.httpCheck(c, name, addresses[0], timeout)}
	case health.TCP && len(addresses) > 0:
		addresses = addresses[:1]
	}
	checks := make([]check, 0, len(addresses))
	for _, at := range addresses {
		checks = append(checks, a.tcpCheck(name, at, timeout))
	}
	return checks
}

// httpCheck requests the path of the definition. A port that the engine does not
// forward never answers, and its error says so.
func (a *Node) httpCheck(c activities.ComponentSpec, name string, at address, timeout time.Duration) check {
	request, malformed := probeRequest("http://"+at.dial+c.Definition.Health.HTTP, c.Definition)
	status := c.Definition.Health.Status
	return func(ctx context.Context) error {
		if malformed != nil {
			return malformed
		}
		err := a.Probe.HTTP(ctx, request, status, timeout)
		if at.forwarded && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return cmp.Or(a.tcpCheck(name, at, timeout)(ctx), err)
		}
		return err
	}
}

// probeRequest returns the request of a health check, with the headers of the definition.
func probeRequest(url string, c servicedef.Component) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "request %s", url)
	}
	request.Header.Set("User-Agent", "mcp-probe")
	for name, value := range c.Health.Headers {
		request.Header.Set(name, value)
	}
	request.Host = cmp.Or(c.ProbeHost(), request.Host)
	return request, nil
}

// tcpCheck connects to an address.
func (a *Node) tcpCheck(name string, at address, timeout time.Duration) check {
	container := func(ctx context.Context) (int, error) {
		info, err := a.Runtime.Inspect(ctx, name)
		return info.PID, err
	}
	return func(ctx context.Context) error {
		if at.forwarded {
			return a.Probe.Forwarded(ctx, at.dial, at.port, container, timeout)
		}
		return a.Probe.TCP(ctx, at.dial, timeout)
	}
}

// execCheck runs a command in the container, which must exit 0. What the command has
// started ends with its timeout.
func (a *Node) execCheck(name string, command []string, timeout time.Duration) check {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		result, err := a.Runtime.Check(ctx, name, command)
		if fault.Is(err, fault.Invalid) {
			return fault.Of(err).WithHint("health.cmd runs inside the container: name a program that its image has, or check with http or tcp")
		}
		if err != nil {
			return err
		}
		if output := result.Output(); result.ExitCode != 0 {
			return fmt.Errorf("%v exited with code %d: %s", command, result.ExitCode, output[:min(len(output), checkOutput)])
		}
		return nil
	}
}

// address is where this host reaches a port of a container.
type address struct {
	route string // its name; "" for a port
	dial  string // "host:port"
	port  int    // the container's
	// forwarded is set where the engine forwards the connection, and unset on the
	// host's network, where the container accepts it itself.
	forwarded bool
}

// addresses returns where this host reaches the component's routes and then its ports,
// those of tcp.
func (a *Node) addresses(c activities.ComponentSpec) []address {
	forwarded := c.Definition.Network != "host"
	var found []address
	for _, r := range c.Routes {
		if r.Protocol == "udp" {
			continue // whether it is open shows in no answer
		}
		found = append(found, address{r.Name, dialable(a.Publish, r.HostPort), r.ContainerPort, forwarded})
	}
	for _, p := range c.Definition.StaticPorts() {
		if p.Protocol == "tcp" {
			found = append(found, address{"", dialable(p.IP, p.Host), p.Container, forwarded})
		}
	}
	return found
}

// dialable returns the address to dial for a port that is published on ip.
func dialable(ip string, port int) string {
	switch parsed := net.ParseIP(ip); {
	case parsed == nil || parsed.Equal(net.IPv4zero):
		ip = "127.0.0.1"
	case parsed.IsUnspecified():
		ip = "::1"
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
	if known := (*fault.Error)(nil); errors.As(cause, &known) {
		f.Hint = known.Hint
	}
	if ended := (exited{}); errors.As(cause, &ended) {
		f = ended.container.Failure(lines)
	}
	return f
}
