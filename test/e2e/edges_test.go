package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/test/edges"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// answer runs a workflow to its end.
func answer[T any](w *world, workflow string, in ...any) T {
	w.t.Helper()
	run, err := w.temporal().ExecuteWorkflow(w.t.Context(), client.StartWorkflowOptions{TaskQueue: workflows.Queue}, workflow, in...)
	require.NoError(w.t, err)
	var result T
	require.NoError(w.t, run.Get(w.t.Context(), &result))
	return result
}

// edge starts an edge that an operator has admitted.
func (w *world) edge(name string) *edges.Edge {
	w.t.Helper()
	machine, err := node.MachineID("")
	require.NoError(w.t, err)
	e, err := edges.New(w.temporal(), name, fleet.Machine{ID: machine}) // where the node is
	require.NoError(w.t, err)
	require.NoError(w.t, e.Start())
	w.t.Cleanup(e.Stop)
	announced, err := e.Announce(w.t.Context())
	require.NoError(w.t, err)
	require.False(w.t, announced.Admitted)
	admitted := answer[tend.AdmitEdgeResult](w, tend.AdmitEdgeName, tend.AdmitEdgeInput{Edge: name, Key: e.Key})
	require.Nil(w.t, admitted.Published.Error)
	return e
}

// fronted is a definition of one component that edges serve.
func (w *world) fronted(name, version, more string) string {
	return w.service(name, version, more) + fmt.Sprintf("hostname = %q\n", name+".example")
}

// through fetches a service through an edge.
func (w *world) through(e *edges.Edge, service string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	answer, err := e.Get(ctx, service+".example")
	require.NoError(w.t, err)
	return answer
}

// asks sends one request after the other through an edge until stop, which returns the
// answers. None may fail, or be held for long.
func (w *world) asks(e *edges.Edge, service string) (stop func() (answers map[string]int)) {
	w.t.Helper()
	w.through(e, service)
	over, done := make(chan struct{}), make(chan error, 1)
	answers := map[string]int{}
	go func() {
		for {
			select {
			case <-over:
				done <- nil
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			answer, err := e.Get(ctx, service+".example")
			cancel()
			if err != nil {
				done <- fmt.Errorf("after %v: %w", answers, err)
				return
			}
			answers[answer]++
		}
	}()
	var once sync.Once
	stop = func() map[string]int {
		w.t.Helper()
		once.Do(func() {
			close(over)
			require.NoError(w.t, <-done)
		})
		return answers
	}
	return stop
}

// fleetOfItsOwn starts a control worker and a node of the world's own.
func (w *world) fleetOfItsOwn() {
	w.t.Helper()
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval))
	w.worker("--control", "--listen", "off")
	w.worker("--node", w.node, "--listen", "off")
}

// TestEdgesFollowEveryChangeOfAService has a client that asks all the time.
func TestEdgesFollowEveryChangeOfAService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleetOfItsOwn()
	e := w.edge(w.node + "-a")
	name := w.node + "-front"
	now := func(version, more string, args ...string) workflows.Result {
		t.Helper()
		w.source(version, "")
		w.define(name, w.fronted(name, version, more))
		r := w.mcp(append([]string{"deploy", name, "--json"}, args...)...)
		require.Zero(t, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.Len(t, result.Edges, 1)
		require.Nil(t, result.Edges[0].Error)
		return result
	}
	now("v1", "")
	require.Equal(t, "v1", w.through(e, name), "the command ends when the edge has it")
	stop := w.asks(e, name)
	now("v2", "")
	require.Equal(t, "v2", w.through(e, name))
	now("v3", `order = "stop-first"`)
	require.Equal(t, "v3", w.through(e, name))
	w.change(workflows.Succeeded, "restart", name)
	w.define(name, w.fronted(name, "v3", `order = "stop-first"`+"\n"+`env = { MODE = "exit" }`))
	require.Equal(t, 1, w.mcp("deploy", name).code)
	require.Equal(t, "v3", w.through(e, name), "the hold has ended")
	require.Zero(t, w.mcp("rollback", name, "--wait").code)
	require.Equal(t, "v2", w.through(e, name))
	answers := stop()
	for _, version := range []string{"v1", "v2", "v3"} {
		require.Positive(t, answers[version], "%v", answers)
	}
	held := 0
	for _, p := range e.History() {
		if p.Routes[0].Held {
			held++
		}
	}
	require.Equal(t, 3, held, "a deploy, a restart and a deploy that failed; v3 follows v2 start-first")

	w.change(workflows.Succeeded, "stop", name)
	_, err := e.Get(t.Context(), name+".example")
	require.ErrorIs(t, err, edges.ErrNoUpstream)
	w.change(workflows.Succeeded, "start", name)
	require.Equal(t, "v2", w.through(e, name))
	w.change(workflows.Succeeded, "undeploy", name, "-y")
	require.Empty(t, e.Serves()[name].Routes)
}

func TestAnEdgeThatWasAwayCatchesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleetOfItsOwn()
	e, other := w.edge(w.node+"-a"), w.edge(w.node+"-b")
	name := w.node + "-stale"
	w.source("v1", "")
	w.define(name, w.fronted(name, "v1", ""))
	w.deploy(name)
	require.Equal(t, "v1", w.through(other, name))

	other.Stop()
	w.source("v2", "")
	w.define(name, w.fronted(name, "v2", ""))
	result := w.deploy(name)
	require.Nil(t, result.Edges[0].Error)
	require.Equal(t, "edge "+other.Name+" is away: nothing polls edge-"+other.Name, result.Edges[1].Error.Message)
	require.Equal(t, "v2", w.through(e, name))
	stale := func(ended bool) bool {
		events := answer[[]fleet.Event](w, reads.EventsName, reads.EventsInput{EventQuery: fleet.EventQuery{Service: name}})
		return slices.ContainsFunc(events, func(event fleet.Event) bool {
			return event.Kind == fleet.DriftStaleEdge && event.Edge == other.Name && event.Ended == ended
		})
	}
	require.Eventually(t, func() bool { return stale(false) }, time.Minute, 100*time.Millisecond)
	require.Equal(t, []string{name}, answer[*reads.EdgesResult](w, reads.EdgesName, reads.EdgesInput{Name: other.Name}).Edges[0].Stale)

	require.NoError(t, other.Start())
	require.Eventually(t, func() bool { return stale(true) }, time.Minute, 100*time.Millisecond, "the monitor publishes again")
	require.Equal(t, "v2", w.through(other, name))
}

func TestADeployThatAnEdgeDoesNotReachIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleetOfItsOwn()
	e := w.edge(w.node + "-a")
	name := w.node + "-reach"
	w.source("v1", "")
	w.define(name, w.fronted(name, "v1", ""))
	w.deploy(name)
	e.Stop()
	e.Unreachable = map[string]string{"*": "connection refused"}
	require.NoError(t, e.Start())
	w.source("v2", "")
	w.define(name, w.fronted(name, "v2", ""))
	r := w.mcp("deploy", name, "--json")
	require.Equal(t, 1, r.code, r)
	var result workflows.Result
	r.decode(t, &result)
	require.Equal(t, fault.Unhealthy, result.Error.Kind)
	require.Contains(t, result.Error.Message, "edge "+e.Name+" does not reach app at 127.0.0.1:")
	require.Contains(t, result.Error.Hint, "[node] publish")
	require.Equal(t, "v1", w.through(e, name))
}

func TestTwoServicesDoNotHoldOneHostname(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleetOfItsOwn()
	w.edge(w.node + "-a")
	name, second := w.node+"-first", w.node+"-second"
	w.source("v1", "")
	w.define(name, w.fronted(name, "v1", ""))
	w.deploy(name)
	w.define(second, w.service(second, "v1", "")+fmt.Sprintf("hostname = %q\n", name+".example"))
	r := w.mcp("deploy", second, "--json")
	require.Equal(t, 1, r.code, r)
	var result workflows.Result
	r.decode(t, &result)
	require.Equal(t, fault.Conflict, result.Error.Kind)
	require.Contains(t, result.Error.Message, name)
	require.False(t, w.summary(workflows.DeployID(second)).touched())
	w.change(workflows.Succeeded, "undeploy", name, "-y")
	w.deploy(second)
}

// TestTheHoldOfALostDeployIsReleased terminates a deploy between the stop of a container
// and the start of its successor.
func TestTheHoldOfALostDeployIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleetOfItsOwn()
	e := w.edge(w.node + "-a")
	name := w.node + "-lost"
	w.source("v1", "")
	w.define(name, w.fronted(name, "v1", `order = "stop-first"`))
	w.deploy(name)
	w.define(name, w.startingWithin("60s", name, "v1", `order = "stop-first"`+"\n"+`env = { MODE = "deaf" }`)+fmt.Sprintf("hostname = %q\n", name+".example"))
	lost := make(chan reply, 1)
	go func() { lost <- w.mcp("deploy", name) }()
	w.awaitAttempt(workflows.DeployID(name), "RunContainer", 1)
	require.True(t, e.Serves()[name].Routes[0].Held)
	require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), workflows.DeployID(name), "", "lost"))
	<-lost
	require.Eventually(t, func() bool { return !e.Serves()[name].Routes[0].Held }, time.Minute, 50*time.Millisecond, "the monitor publishes the release")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := e.Get(ctx, name+".example")
	require.False(t, errors.Is(err, context.DeadlineExceeded), "it is not held")
	w.define(name, w.fronted(name, "v1", `order = "stop-first"`))
	w.deploy(name)
	require.Equal(t, "v1", w.through(e, name))
}
