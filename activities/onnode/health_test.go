package onnode_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

func TestRunContainerRunsTheChecksOfTheDefinition(t *testing.T) {
	route := func(c *activities.ComponentSpec) {
		c.Routes = []activities.RouteSpec{{Name: "rest", HostPort: 20000, ContainerPort: 80}}
		c.Definition.Ports = []string{"8080:80"}
	}
	tests := map[string]struct {
		change func(*activities.ComponentSpec)
		asked  []string
	}{
		"every route and tcp port without a health section": {route, []string{"10.0.0.7:20000→80", "127.0.0.1:8080→80"}},
		"a path on the first route": {func(c *activities.ComponentSpec) {
			route(c)
			c.Definition.Health.HTTP = "/healthz"
		}, []string{"http://10.0.0.7:20000/healthz"}},
		"by the hostname of that route": {func(c *activities.ComponentSpec) {
			route(c)
			c.Definition.Routes = []servicedef.Route{{Name: "rest", Hostname: servicedef.Hostnames{"shop.example"}}}
			c.Definition.Health.HTTP = "/healthz"
		}, []string{"http://10.0.0.7:20000/healthz as shop.example"}},
		"no route of udp": {func(c *activities.ComponentSpec) {
			route(c)
			c.Routes = append([]activities.RouteSpec{{Name: "log", HostPort: 20001, ContainerPort: 514, Protocol: "udp"}}, c.Routes...)
		}, []string{"10.0.0.7:20000→80", "127.0.0.1:8080→80"}},
		"by the host of the check, before that": {func(c *activities.ComponentSpec) {
			route(c)
			c.Definition.Routes = []servicedef.Route{{Name: "rest", Hostname: servicedef.Hostnames{"shop.example"}}}
			c.Definition.Health.HTTP, c.Definition.Health.Host = "/healthz", "localhost"
		}, []string{"http://10.0.0.7:20000/healthz as localhost"}},
		"ports of IPv6, at addresses of their own": {func(c *activities.ComponentSpec) {
			c.Definition.Ports = []string{"[::]:8080:80", "[::1]:8081:81", "0.0.0.0:8082:82", "[fd00::2]:8083:83"}
		}, []string{"[::1]:8080→80", "[::1]:8081→81", "127.0.0.1:8082→82", "[fd00::2]:8083→83"}},
		"ports on the host's network, which are not forwarded": {func(c *activities.ComponentSpec) {
			route(c)
			c.Definition.Network = "host"
		}, []string{"10.0.0.7:20000", "127.0.0.1:8080"}},
		"the first route alone for tcp": {func(c *activities.ComponentSpec) {
			route(c)
			c.Definition.Health.TCP = true
		}, []string{"10.0.0.7:20000→80"}},
		"the named route for tcp": {func(c *activities.ComponentSpec) {
			route(c)
			c.Routes = append(c.Routes, activities.RouteSpec{Name: "metrics", HostPort: 20001, ContainerPort: 9100})
			c.Definition.Health.TCP, c.Definition.Health.Port = true, "metrics"
		}, []string{"10.0.0.7:20001→9100"}},
		"a port of the container, for http too": {func(c *activities.ComponentSpec) {
			route(c)
			c.Definition.Ports = []string{"8080:80", "8081:9100"}
			c.Definition.Health.HTTP, c.Definition.Health.Port = "/metrics", "9100"
		}, []string{"http://127.0.0.1:8081/metrics"}},
		"nothing where there is nothing to ask": {func(*activities.ComponentSpec) {}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			require.Nil(t, h.run(api(1, test.change)))
			require.Equal(t, test.asked, h.probe.asked)
		})
	}
}

func TestRunContainerFailsForAnUnhealthyContainer(t *testing.T) {
	t.Run("one that exits, with its last lines", func(t *testing.T) {
		h := newHost(t)
		f := h.run(api(1, func(c *activities.ComponentSpec) { c.Definition.Cmd = []string{"/app", "exit", "3"} }))
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Equal(t, "container shop-api.next: exited with code 3", f.Message)
		require.Equal(t, []string{"exiting with 3"}, f.Log)
		require.Equal(t, "api", f.Component)
		require.Equal(t, "rift", f.Node)
	})
	exits := func(c *activities.ComponentSpec) {
		c.Definition.Cmd = []string{"/app", "exit", "3"}
		c.Definition.Health.StartPeriod = dur(time.Minute)
		c.Routes = []activities.RouteSpec{{Name: "rest", HostPort: 20000, ContainerPort: 80}}
	}
	t.Run("one that exits, though another process answers", func(t *testing.T) {
		f := newHost(t).run(api(1, exits))
		require.NotNil(t, f)
		require.Equal(t, "container shop-api.next: exited with code 3", f.Message)
	})
	t.Run("one that exits, long before it must answer", func(t *testing.T) {
		h := newHost(t)
		h.probe.err = errors.New("connection refused")
		began := time.Now()
		f := h.run(api(1, exits))
		require.NotNil(t, f)
		require.Equal(t, "container shop-api.next: exited with code 3", f.Message)
		require.Less(t, time.Since(began), 30*time.Second)
	})
	t.Run("one that never answers, with the last probe's error", func(t *testing.T) {
		h := newHost(t)
		h.probe.err = errors.New("connection refused")
		f := h.run(api(1, func(c *activities.ComponentSpec) {
			c.Routes = []activities.RouteSpec{{Name: "rest", HostPort: 20000, ContainerPort: 80}}
		}))
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Contains(t, f.Message, "connection refused")
	})
	t.Run("one whose check the engine cannot execute, long before it must answer", func(t *testing.T) {
		began := time.Now()
		f := newHost(t).run(api(1, func(c *activities.ComponentSpec) {
			c.Definition.Health.Cmd, c.Definition.Health.StartPeriod = []string{"/nosuchcommand"}, dur(time.Hour)
		}))
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Contains(t, f.Message, "/nosuchcommand")
		require.Contains(t, f.Hint, "name a program that its image has")
		require.Less(t, time.Since(began), time.Minute)
	})
	t.Run("but not because its check is written by its own program", func(t *testing.T) {
		h, asked := newHost(t), 0
		h.engine.Program = func(cmd []string) runtime.FakeProgram {
			missing := len(cmd) > 0 && cmd[0] == "/check"
			if missing {
				asked++
			}
			return runtime.FakeProgram{Missing: missing && asked < 3}
		}
		require.Nil(t, h.run(api(1, func(c *activities.ComponentSpec) { c.Definition.Health.Cmd = []string{"/check"} })))
		require.Equal(t, 3, asked)
	})
	t.Run("but not because the engine is away: that is retried", func(t *testing.T) {
		h := newHost(t)
		h.engine.Before = func(method, name string) error {
			if method == "Run" {
				go h.engine.SetDown(true)
			}
			return nil
		}
		f := h.run(api(1, func(c *activities.ComponentSpec) { c.Definition.Health.StartPeriod = dur(5 * time.Second) }))
		require.Equal(t, fault.Unavailable, f.Kind)
	})
	t.Run("one whose command check fails", func(t *testing.T) {
		h := newHost(t)
		f := h.run(api(1, func(c *activities.ComponentSpec) { c.Definition.Health.Cmd = []string{"/app", "exit", "1"} }))
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Contains(t, f.Message, "exited with code 1")
	})
}

// A container is watched for as long as its definition wants, after its first answer.
func TestRunContainerWatchesAContainerThatHasBecomeHealthy(t *testing.T) {
	watched := func(d time.Duration) activities.ComponentSpec {
		return api(1, func(c *activities.ComponentSpec) {
			c.Definition.Health.MinHealthy, c.Definition.Health.StartPeriod = dur(d), dur(time.Hour)
			c.Routes = []activities.RouteSpec{{Name: "rest", HostPort: 20000, ContainerPort: 80}}
		})
	}
	t.Run("one that ends after its first answer has failed", func(t *testing.T) {
		h := newHost(t)
		h.probe.answer = func(n int) error {
			if n == 2 {
				h.engine.Exit("shop-api.next", 3)
			}
			return nil
		}
		f := h.run(watched(time.Hour))
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Equal(t, "container shop-api.next: exited with code 3", f.Message)
	})
	t.Run("one that is restarted has failed", func(t *testing.T) {
		h := newHost(t)
		h.probe.answer = func(n int) error {
			if n == 2 {
				h.engine.Relaunch("shop-api.next")
			}
			return nil
		}
		f := h.run(watched(time.Hour))
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Contains(t, f.Message, "restarts: 1")
	})
	t.Run("one that fails a probe is watched from its next answer on", func(t *testing.T) {
		h := newHost(t)
		var answered []time.Time
		h.probe.answer = func(n int) error {
			if n == 2 {
				return errors.New("connection refused")
			}
			answered = append(answered, time.Now())
			return nil
		}
		const enough = 300 * time.Millisecond
		require.Nil(t, h.run(watched(enough)))
		require.GreaterOrEqual(t, time.Since(answered[1]), enough)
	})
	t.Run("one whose probes fail again and again has failed", func(t *testing.T) {
		h := newHost(t)
		h.probe.answer = func(n int) error {
			if n%2 == 0 {
				return errors.New("connection refused")
			}
			return nil
		}
		c := watched(time.Hour)
		c.Definition.Health.StartPeriod, c.Definition.Health.Retries = dur(time.Nanosecond), 3
		f := h.run(c)
		require.Equal(t, fault.Unhealthy, f.Kind)
		require.Contains(t, f.Message, "6 probes: connection refused")
	})
	t.Run("none is watched where the definition says so", func(t *testing.T) {
		h := newHost(t)
		require.Nil(t, h.run(watched(0)))
		require.Len(t, h.probe.asked, 1)
	})
	t.Run("one that is restarted before the cut-over is refused there", func(t *testing.T) {
		h := newHost(t)
		require.Nil(t, h.run(watched(0)))
		h.engine.Relaunch("shop-api.next")
		refused := h.cutOver(1)
		require.NotNil(t, refused)
		require.Equal(t, fault.Unhealthy, refused.Kind)
		require.Contains(t, refused.Message, "restarts: 1")
		require.Equal(t, []string{"shop-api.next:1:running"}, h.names(t))
	})
}

// A port that the engine does not forward takes connections and never answers.
func TestAnHTTPCheckTellsOfAPortThatIsNotForwarded(t *testing.T) {
	h := newHost(t)
	h.probe.answer = func(n int) error {
		if n%2 == 1 {
			return context.DeadlineExceeded
		}
		return fault.New(fault.Unhealthy, "podman holds the port").WithHint("publish it elsewhere")
	}
	f := h.run(api(1, func(c *activities.ComponentSpec) {
		c.Definition.Health.HTTP, c.Definition.Health.StartPeriod = "/", dur(time.Nanosecond)
		c.Definition.Ports = []string{"[::1]:8080:80"}
	}))
	require.Equal(t, []string{"http://[::1]:8080/", "[::1]:8080→80"}, h.probe.asked)
	require.Contains(t, f.Message, "podman holds the port")
	require.Equal(t, "publish it elsewhere", f.Hint)
}
