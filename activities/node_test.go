package activities_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

const image = "registry.test:5000/api@sha256:abc"

// host is a node with an engine in memory.
type host struct {
	*activities.Node
	mu     sync.Mutex
	engine *runtime.Fake
	env    *testsuite.TestActivityEnvironment
	probe  *probes
	specs  []runtime.ContainerSpec
	// stops are the containers that were stopped, and the times that they were given.
	stops map[string]time.Duration
	// interrupted names a container that was created and never started.
	interrupted string
}

// recorder records the containers that the engine is to run.
type recorder struct {
	*runtime.Fake
	host *host
}

func (r recorder) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	r.host.specs = append(r.host.specs, spec)
	return r.Fake.Run(ctx, spec)
}

func (r recorder) Stop(ctx context.Context, name string, timeout time.Duration) error {
	r.host.mu.Lock()
	r.host.stops[name] = timeout
	r.host.mu.Unlock()
	return r.Fake.Stop(ctx, name, timeout)
}

func (r recorder) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	info, err := r.Fake.Inspect(ctx, name)
	if name == r.host.interrupted {
		info.State = runtime.Created
	}
	return info, err
}

// probes answers health probes, and records them.
type probes struct {
	asked []string
	err   error
	// answer, if it is set, answers the nth probe instead of err.
	answer func(n int) error
}

func (p *probes) HTTP(_ context.Context, request *http.Request, status []int, _ time.Duration) error {
	what := request.URL.String()
	if request.Host != request.URL.Host {
		what += " as " + request.Host
	}
	for _, name := range slices.Sorted(maps.Keys(request.Header)) {
		if name != "User-Agent" {
			what += " with " + name + ": " + request.Header.Get(name)
		}
	}
	if len(status) > 0 {
		what += fmt.Sprint(" for ", status)
	}
	return p.ask(what)
}

func (p *probes) TCP(_ context.Context, address string, _ time.Duration) error {
	return p.ask(address)
}

func (p *probes) Forwarded(_ context.Context, address string, port int, _ func(context.Context) (int, error), _ time.Duration) error {
	return p.ask(fmt.Sprintf("%s→%d", address, port))
}

// ask records a probe and answers it.
func (p *probes) ask(what string) error {
	p.asked = append(p.asked, what)
	if p.answer != nil {
		return p.answer(len(p.asked))
	}
	return p.err
}

type ports struct{}

func (ports) FreePorts(n int) ([]int, error) { return []int{20000, 20001}[:min(n, 2)], nil }

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{engine: runtime.NewFake(), probe: &probes{}, stops: map[string]time.Duration{}}
	h.engine.AddImages(image)
	h.Node = &activities.Node{
		Name: "rift", Runtime: recorder{h.engine, h}, Ports: ports{}, Probe: h.probe, Publish: "10.0.0.7",
		Insecure: func(string) bool { return false }, Fence: activities.NewFence(), Slots: activities.NewSlots(),
	}
	h.restartWorker()
	return h
}

// restartWorker drops everything that a worker keeps in memory.
func (h *host) restartWorker() {
	h.Fence = activities.NewFence()
	h.env = newActivities(context.Background(), h.Node)
}

// newActivities is an environment that serves one struct of activities, which
// are cancelled when ctx ends.
func newActivities(ctx context.Context, served any) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{
		Interceptors:              []interceptor.WorkerInterceptor{activities.NewInterceptor()},
		BackgroundActivityContext: ctx,
	})
	env.RegisterActivity(served)
	return env
}

// do runs an activity and returns its fault, nil if it succeeded.
func (h *host) do(activity, in any) *fault.Error {
	_, err := h.env.ExecuteActivity(activity, in)
	return activities.FaultOf(err)
}

// api is a component of deployment n.
func api(n int, change ...func(*activities.ComponentSpec)) activities.ComponentSpec {
	c := activities.ComponentSpec{
		Service: "shop", Deployment: n, Image: image, Spec: "spec",
		Definition: servicedef.Component{
			Name: "api", Cmd: []string{"/app", "serve"}, Restart: "no",
			Health: servicedef.Health{Interval: dur(time.Second), Timeout: dur(time.Second), Retries: 1, StartPeriod: dur(50 * time.Millisecond)},
		},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func dur(d time.Duration) servicedef.Duration { return servicedef.Duration(d) }

func (h *host) run(c activities.ComponentSpec) *fault.Error {
	return h.do(h.RunContainer, activities.RunContainerInput{Component: c})
}

// cutOver returns the reason for a refusal, or the fault.
func (h *host) cutOver(n int) *fault.Error {
	value, err := h.env.ExecuteActivity(h.CutOver, activities.CutOverInput{Service: "shop", Deployment: n, Replace: fleet.Refs("shop-api")})
	if err != nil {
		return activities.FaultOf(err)
	}
	var result activities.CutOverResult
	if err := value.Get(&result); err != nil {
		return fault.Of(err)
	}
	return result.Refused
}

// names are the containers with their deployment: "shop-api:1".
func (h *host) names(t *testing.T) []string {
	t.Helper()
	list, err := h.engine.List(t.Context(), nil)
	require.NoError(t, err)
	var names []string
	for _, c := range list {
		names = append(names, c.Name+":"+c.Labels[runtime.LabelDeployment]+":"+string(c.State))
	}
	return names
}

func TestRunContainerPassesThePortsToTheContainer(t *testing.T) {
	tests := map[string]struct {
		change func(*activities.ComponentSpec)
		env    map[string]string
		ports  []servicedef.Port
	}{
		"one route is $PORT, and the container listens on the host port": {
			func(c *activities.ComponentSpec) {
				c.Routes = []activities.RouteSpec{{Name: "rest-api", HostPort: 20000, ContainerPort: 20000}}
			},
			map[string]string{"PORT": "20000", "PORT_REST_API": "20000", "A": "b"},
			[]servicedef.Port{{IP: "10.0.0.7", Host: 20000, Container: 20000, Protocol: "tcp"}},
		},
		"two routes have their own names only": {
			func(c *activities.ComponentSpec) {
				c.Routes = []activities.RouteSpec{{Name: "a", HostPort: 20000, ContainerPort: 20000}, {Name: "b", HostPort: 20001, ContainerPort: 80}}
			},
			map[string]string{"PORT_A": "20000", "PORT_B": "80", "A": "b"},
			[]servicedef.Port{
				{IP: "10.0.0.7", Host: 20000, Container: 20000, Protocol: "tcp"},
				{IP: "10.0.0.7", Host: 20001, Container: 80, Protocol: "tcp"},
			},
		},
		"a route of udp": {
			func(c *activities.ComponentSpec) {
				c.Routes = []activities.RouteSpec{{Name: "log", HostPort: 20000, ContainerPort: 514, Protocol: "udp"}}
			},
			map[string]string{"PORT": "514", "PORT_LOG": "514", "A": "b"},
			[]servicedef.Port{{IP: "10.0.0.7", Host: 20000, Container: 514, Protocol: "udp"}},
		},
		"old-style ports stay as they are written": {
			func(c *activities.ComponentSpec) { c.Definition.Ports = []string{"127.0.0.1:8080:80", "53:53/udp"} },
			map[string]string{"A": "b"},
			[]servicedef.Port{
				{IP: "127.0.0.1", Host: 8080, Container: 80, Protocol: "tcp"},
				{Host: 53, Container: 53, Protocol: "udp"},
			},
		},
		"host networking needs no mapping": {
			func(c *activities.ComponentSpec) {
				c.Definition.Network = "host"
				c.Routes = []activities.RouteSpec{{Name: "a", HostPort: 20000, ContainerPort: 20000}}
			},
			map[string]string{"PORT": "20000", "PORT_A": "20000", "A": "b"},
			nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			require.Nil(t, h.run(api(3, test.change, func(c *activities.ComponentSpec) { c.Definition.Env = map[string]string{"A": "b"} })))
			spec := h.specs[0]
			require.Equal(t, "shop-api.next", spec.Name)
			require.Equal(t, test.env, spec.Env)
			require.Equal(t, test.ports, spec.Ports)
			require.Equal(t, map[string]string{
				"mcp.service": "shop", "mcp.component": "api", "mcp.deployment": "3", "mcp.run": "", "mcp.spec": "spec",
			}, spec.Labels)
		})
	}
}

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

func TestEveryStepOnANodeMayRunTwice(t *testing.T) {
	h := newHost(t)
	twice := func(step func() *fault.Error) {
		t.Helper()
		require.Nil(t, step())
		require.Nil(t, step())
	}
	twice(func() *fault.Error { return h.run(api(1)) })
	require.Equal(t, []string{"shop-api.next:1:running"}, h.names(t))
	twice(func() *fault.Error { return h.cutOver(1) })
	require.Equal(t, []string{"shop-api:1:running"}, h.names(t))
	require.Nil(t, h.run(api(1)), "a late repetition after the cut-over starts nothing")
	require.Equal(t, []string{"shop-api:1:running"}, h.names(t))

	require.Nil(t, h.run(api(2)))
	twice(func() *fault.Error { return h.cutOver(2) })
	require.ElementsMatch(t, []string{"shop-api:2:running", "shop-api.prev:1:running"}, h.names(t))
	retire := activities.RetireInput{Service: "shop", Deployment: 2, Containers: fleet.Refs("shop-api")}
	twice(func() *fault.Error { return h.do(h.Retire, retire) })
	require.Equal(t, []string{"shop-api:2:running"}, h.names(t))

	stop := activities.StopContainerInput{Service: "shop", Deployment: 3, Container: fleet.Ref{Name: "shop-api"}}
	twice(func() *fault.Error { return h.do(h.StopContainer, stop) })
	require.Nil(t, h.run(api(3)))
	restore := activities.RestoreInput{Service: "shop", Deployment: 3, Closing: true, Recovery: plan.Recovery{
		Remove: fleet.Refs("shop-api.next"), Start: fleet.Refs("shop-api"),
	}}
	twice(func() *fault.Error { return h.do(h.Restore, restore) })
	require.Equal(t, []string{"shop-api:2:running"}, h.names(t))
}

func TestAnOlderDeploymentIsKeptOut(t *testing.T) {
	t.Run("by what this worker has seen", func(t *testing.T) {
		h := newHost(t)
		require.Nil(t, h.do(h.Survey, activities.SurveyInput{Service: "shop", Deployment: 5}))
		require.Equal(t, fault.Conflict, h.run(api(4)).Kind)
		require.Empty(t, h.names(t))
	})
	t.Run("by the labels, after the worker was restarted", func(t *testing.T) {
		h := newHost(t)
		require.Nil(t, h.run(api(5)))
		h.restartWorker()
		require.Equal(t, fault.Conflict, h.cutOver(4).Kind)
	})
	t.Run("once it was undone", func(t *testing.T) {
		h := newHost(t)
		restore := activities.RestoreInput{Service: "shop", Deployment: 5, Closing: true}
		require.Nil(t, h.do(h.Restore, restore))
		require.Equal(t, fault.Conflict, h.run(api(5)).Kind)
		require.Nil(t, h.run(api(6)))
	})
}

func TestRestoreLeavesForeignContainersAlone(t *testing.T) {
	h := newHost(t)
	other := api(1, func(c *activities.ComponentSpec) { c.Service = "other" })
	require.Nil(t, h.run(other))
	restore := activities.RestoreInput{Service: "shop", Deployment: 1, Recovery: plan.Recovery{Remove: fleet.Refs("other-api.next")}}
	require.Nil(t, h.do(h.Restore, restore))
	require.Equal(t, []string{"other-api.next:1:running"}, h.names(t))
}

func TestEachContainerHasItsOwnStopTimeout(t *testing.T) {
	patience := map[string]time.Duration{
		"shop-api": 2 * time.Second, "shop-api.next": 3 * time.Second, "shop-db.prev": 40 * time.Second, "shop-web.prev": 0,
	}
	tests := map[string]struct {
		do   func(h *host, adopted []fleet.Adopted) *fault.Error
		want map[string]time.Duration
	}{
		"that is stopped": {
			func(h *host, _ []fleet.Adopted) *fault.Error {
				return h.do(h.StopContainer, activities.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}})
			},
			map[string]time.Duration{"shop-api": 2 * time.Second},
		},
		"that was adopted, of its definition": {
			func(h *host, adopted []fleet.Adopted) *fault.Error {
				return h.do(h.StopContainer, activities.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}, Adopted: adopted})
			},
			map[string]time.Duration{"shop-api": time.Minute},
		},
		"that is retired": {
			func(h *host, _ []fleet.Adopted) *fault.Error {
				return h.do(h.Retire, activities.RetireInput{Service: "shop", Deployment: 2, Containers: fleet.Refs("shop-db", "shop-web")})
			},
			map[string]time.Duration{"shop-db.prev": 40 * time.Second, "shop-web.prev": 0},
		},
		"that is left of a deploy, and one that never took over is removed at once": {
			func(h *host, _ []fleet.Adopted) *fault.Error {
				return h.do(h.Restore, activities.RestoreInput{
					Service: "shop", Deployment: 2, Recovery: plan.Recovery{Remove: fleet.Refs(slices.Sorted(maps.Keys(patience))...)},
				})
			},
			map[string]time.Duration{"shop-api": 2 * time.Second, "shop-db.prev": 40 * time.Second, "shop-web.prev": 0},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			var adopted []fleet.Adopted
			for name, timeout := range patience {
				id, err := h.engine.Run(t.Context(), runtime.ContainerSpec{
					Name: name, Image: image, Labels: map[string]string{runtime.LabelService: "shop"}, StopTimeout: timeout,
				})
				require.NoError(t, err)
				adopted = append(adopted, fleet.Adopted{ID: id, Service: "shop", Component: "api", StopTimeout: time.Minute})
			}
			for range 2 {
				require.Nil(t, test.do(h, adopted))
			}
			require.Equal(t, test.want, h.stops)
		})
	}
}

func TestSurveyFindsOwnAndForeignContainers(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image})
	require.NoError(t, err)
	value, err := h.env.ExecuteActivity(h.Survey, activities.SurveyInput{Service: "shop", Deployment: 2, Names: []string{"shop-api"}, Ports: 2})
	require.NoError(t, err)
	var found activities.SurveyResult
	require.NoError(t, value.Get(&found))
	for i, name := range []string{"shop-api.next", "shop-api"} {
		info, err := h.engine.Inspect(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, info.ID, found.Containers[i].ID)
		found.Containers[i].ID = ""
	}
	require.Equal(t, []fleet.Container{
		{Name: "shop-api.next", Service: "shop", Component: "api", Deployment: 1, Spec: "spec", Running: true, Image: image},
		{Name: "shop-api", Running: true, Image: image},
	}, found.Containers)
	require.Equal(t, []int{20000, 20001}, found.FreePorts)
}

func TestAnUndoWaitsForStepsUnderWay(t *testing.T) {
	h := newHost(t)
	running, goOn := make(chan struct{}), make(chan struct{})
	h.engine.Before = func(method, _ string) error {
		if method == "Run" {
			close(running)
			<-goOn
		}
		return nil
	}
	late := make(chan *fault.Error, 1)
	go func() { late <- h.run(api(5)) }()
	<-running
	undone := make(chan *fault.Error, 1)
	undoing := h.beside(t.Context())
	go func() {
		undone <- undoing.do(undoing.Restore, activities.RestoreInput{
			Service: "shop", Deployment: 5, Closing: true, Recovery: plan.Recovery{Remove: fleet.Refs("shop-api.next")},
		})
	}()
	select {
	case <-undone:
		t.Fatal("the undo did not wait for the container that is being made")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	require.Nil(t, <-undone)
	<-late
	require.Empty(t, h.names(t), "it found the container")
}

func TestAStartThatWasInterruptedGetsOtherPorts(t *testing.T) {
	h := newHost(t)
	routed := func(port int) func(*activities.ComponentSpec) {
		return func(c *activities.ComponentSpec) {
			c.Definition.Routes = []servicedef.Route{{Name: "http", Port: 443}}
			c.Routes = []activities.RouteSpec{{Name: "http", HostPort: port, ContainerPort: port}}
		}
	}
	require.Nil(t, h.run(api(1, routed(20000))))
	h.interrupted = "shop-api.next"
	require.Equal(t, fault.PortInUse, h.run(api(1, routed(20000))).Kind)
	require.Nil(t, h.run(api(1, routed(20001))), "what was interrupted is gone")
	require.Equal(t, 20001, h.specs[1].Ports[0].Host)
}
