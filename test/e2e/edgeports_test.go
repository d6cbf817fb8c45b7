package e2e

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// TestAnEdgeThatIsCutOffReachesNoOtherService has a node with so few ports, which rest for
// no time, that each is allocated again as soon as it can be.
func TestAnEdgeThatIsCutOffReachesNoOtherService(t *testing.T) {
	t.Parallel()
	const ports = 4
	w := newWorld(t)
	low := freePorts(t, ports)
	w.alone(fmt.Sprintf("workspace = %q", w.workspace), "[monitor]", fmt.Sprintf("interval = %q", monitorInterval),
		"[ports]", fmt.Sprintf("low = %d", low), fmt.Sprintf("high = %d", low+ports-1), `rest = "1ms"`)
	w.worker("--control", "--listen", "off")
	w.worker("--node", w.node, "--listen", "off")
	e := w.edge(w.node + "-a")
	name, other := w.node+"-gone", w.node+"-new"
	deploy := func(name, version, definition string) {
		t.Helper()
		w.source(version, "")
		w.define(name, definition)
		w.deploy(name)
	}
	deploy(name, "v1", w.fronted(name, "v1", ""))
	require.Equal(t, "v1", w.through(e, name))
	stale := e.Serves()[name].Routes[0].Upstreams

	e.Stop() // it goes on serving what it has
	deploy(name, "v2", w.fronted(name, "v2", ""))
	w.change(workflows.Succeeded, "undeploy", name, "-y")
	for i := range 4 { // in turns the two ports of which no edge has heard
		version := fmt.Sprint("other", i)
		deploy(other, version, w.service(other, version, ""))
		require.Equal(t, stale, e.Serves()[name].Routes[0].Upstreams)
		answer, err := e.Get(t.Context(), name+".example")
		require.Error(t, err, "it has reached %s", answer)
	}

	// With one more service there is no port left, until the edge is back.
	third, fourth := w.node+"-third", w.node+"-fourth"
	deploy(third, "third", w.service(third, "third", ""))
	w.source("fourth", "")
	w.define(fourth, w.service(fourth, "fourth", ""))
	r := w.mcp("deploy", fourth, "--json")
	require.Equal(t, 1, r.code, r)
	var result workflows.Result
	r.decode(t, &result)
	require.Equal(t, fault.PortInUse, result.Error.Kind)
	require.Contains(t, result.Error.Message, "2 rest until edge "+e.Name)
	require.Contains(t, result.Error.Hint, "mcp edge remove "+e.Name)

	require.NoError(t, e.Start())
	require.Eventually(t, func() bool {
		states := answer[*reads.EdgesResult](w, reads.EdgesName, reads.EdgesInput{Name: e.Name}).Edges
		return len(e.Serves()[name].Routes) == 0 && len(states[0].Stale) == 0
	}, time.Minute, 100*time.Millisecond, "the monitor publishes what it has missed")
	w.deploy(fourth)
}

// freePorts returns the first of n ports in a row that are free, below those that other
// tests take.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for low := 9000; low > 5000; low -= n {
		if allFree(t.Context(), low, n) {
			return low
		}
	}
	require.FailNow(t, "no free ports")
	return 0
}

func allFree(ctx context.Context, low, n int) bool {
	for port := low; port < low+n; port++ {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
