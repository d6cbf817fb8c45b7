package onnode_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/attempt/attempttest"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

const image = "registry.test:5000/api@sha256:abc"

// host is a node with an engine in memory.
type host struct {
	*onnode.Node
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
	h.Node = &onnode.Node{
		Name: "rift", Runtime: recorder{h.engine, h}, Ports: ports{}, Probe: h.probe, Publish: "10.0.0.7",
		Insecure: func(string) bool { return false }, Fence: onnode.NewFence(), Slots: onnode.NewSlots(),
	}
	h.restartWorker()
	return h
}

// restartWorker drops everything that a worker keeps in memory.
func (h *host) restartWorker() {
	h.Fence = onnode.NewFence()
	h.env = attempttest.New(context.Background(), h.Node)
}

// do runs an activity and returns its fault, nil if it succeeded.
func (h *host) do(activity, in any) *fault.Error {
	_, err := h.env.ExecuteActivity(activity, in)
	return attempt.FaultOf(err)
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
	return h.do(h.RunContainer, onnode.RunContainerInput{Component: c})
}

// cutOver returns the reason for a refusal, or the fault.
func (h *host) cutOver(n int) *fault.Error {
	value, err := h.env.ExecuteActivity(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: n, Replace: fleet.Refs("shop-api")})
	if err != nil {
		return attempt.FaultOf(err)
	}
	var result onnode.CutOverResult
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
