package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// Prober checks whether a container serves.
type Prober interface {
	// HTTP requires an answer with one of the status codes; none stands for 200 to 399.
	HTTP(ctx context.Context, request *http.Request, status []int, timeout time.Duration) error
	// TCP requires that a process accepts a connection.
	TCP(ctx context.Context, address string, timeout time.Duration) error
	// Forwarded requires that a container accepts a connection on its port, to which
	// the engine forwards address. Container returns its process.
	Forwarded(ctx context.Context, address string, port int, container func(context.Context) (pid int, err error), timeout time.Duration) error
}

// Checker checks containers of a node.
type Checker struct {
	Runtime runtime.Runtime
	Probe   Prober
	// Publish is the address that routes are published on.
	Publish string
}

// check tests once whether a container serves.
type check func(ctx context.Context) error

// Probes reports whether more is checked about a component than whether it runs.
func (h Checker) Probes(c activities.ComponentSpec) bool { return len(h.checks(c, c.Container())) > 0 }

// checks returns the checks that a healthy container passes; none if it has no
// address to probe.
func (h Checker) checks(c activities.ComponentSpec, name string) []check {
	health := c.Definition.Health
	timeout := time.Duration(health.Timeout)
	addresses := addressesOf(c, h.Publish)
	if health.HTTP != "" || health.TCP {
		addresses = slices.DeleteFunc(addresses, func(at address) bool { return !health.Port.Is(at.route, at.port) })
	}
	switch {
	case len(health.Cmd) > 0:
		return []check{h.execCheck(name, health.Cmd, timeout)}
	case health.HTTP != "" && len(addresses) > 0:
		return []check{h.httpCheck(c, name, addresses[0], timeout)}
	case health.TCP && len(addresses) > 0:
		addresses = addresses[:1]
	}
	checks := make([]check, 0, len(addresses))
	for _, at := range addresses {
		checks = append(checks, h.tcpCheck(name, at, timeout))
	}
	return checks
}

// httpCheck requests the path of the definition. A port that the engine does not
// forward never answers, and its error says so.
func (h Checker) httpCheck(c activities.ComponentSpec, name string, at address, timeout time.Duration) check {
	request, malformed := probeRequest("http://"+at.dial+c.Definition.Health.HTTP, c.Definition)
	status := c.Definition.Health.Status
	return func(ctx context.Context) error {
		if malformed != nil {
			return malformed
		}
		err := h.Probe.HTTP(ctx, request, status, timeout)
		if at.forwarded && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return cmp.Or(h.tcpCheck(name, at, timeout)(ctx), err)
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
func (h Checker) tcpCheck(name string, at address, timeout time.Duration) check {
	container := func(ctx context.Context) (int, error) {
		info, err := h.Runtime.Inspect(ctx, name)
		return info.PID, err
	}
	return func(ctx context.Context) error {
		if at.forwarded {
			return h.Probe.Forwarded(ctx, at.dial, at.port, container, timeout)
		}
		return h.Probe.TCP(ctx, at.dial, timeout)
	}
}

// execCheck runs a command in the container, which must exit 0. What the command has
// started ends with its timeout.
func (h Checker) execCheck(name string, command []string, timeout time.Duration) check {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		result, err := h.Runtime.Check(ctx, name, command)
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

// checkOutput is how many bytes of the output of a check an error holds.
const checkOutput = 16 << 10
