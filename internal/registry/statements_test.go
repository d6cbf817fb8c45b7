package registry_test

import (
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

// mostStatements bounds the statements of an update of one component, and mostAtEdges
// those of one that edges serve. Each is a round trip, in a transaction that holds the
// service's lock: lower the bounds when possible, and raise them only for a reason.
const mostStatements, mostAtEdges = 42, 51

// TestAnUpdateTakesFewStatements counts, in Postgres' own log, the statements of a
// deploy.
func TestAnUpdateTakesFewStatements(t *testing.T) {
	_, address := newStore(t)
	store := counted(t, address)
	route := func(port int) fleet.Route {
		return fleet.Route{Name: "rest", Port: 8443, Mode: "l4", HostPort: port}
	}
	deploy := func(number, port int) {
		begin(t, store, "shop", "api")
		allocate(t, store, portRequest("shop", "api", number, []int{port}, "rest"))
		commit(t, store, "shop", number, member("shop", "api", number, route(port)))
		require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
			Service: "shop", Deployment: number, Outcome: "succeeded", ReleasePorts: true, PortRest: time.Minute,
		}))
	}
	deploy(1, 20001)
	require.Positive(t, statements(t), "Postgres logs what this asks")
	requireFew(t, mostStatements, func() { deploy(2, 20002) })
}

func TestAnUpdateAtEdgesTakesFewStatements(t *testing.T) {
	f := newFronted(t, "berlin", "lisbon")
	f.store = counted(t, f.address)
	deploy := func(port int) {
		b := f.begin(routed("shop", "shop.example"))
		r := portRequest("shop", "web", b.number, []int{port}, "http")
		r.Run = b.run
		allocate(t, f.store, r)
		b.commit(port)
		b.finish("succeeded")
	}
	deploy(20001)
	requireFew(t, mostAtEdges, func() { deploy(20002) })
}

// requireFew requires that do takes at most so many statements, and not many less.
func requireFew(t *testing.T, most int, do func()) {
	t.Helper()
	before := statements(t)
	do()
	taken := statements(t) - before
	t.Logf("%d statements", taken)
	require.LessOrEqual(t, taken, most)
	require.Greater(t, taken, most/2, "lower the bound")
}

// counted opens the registry with sessions whose statements Postgres logs.
func counted(t *testing.T, address string) *registry.Store {
	t.Helper()
	logged, err := url.Parse(address)
	require.NoError(t, err)
	query := logged.Query()
	query.Set("log_statement", "all")
	query.Set("application_name", "counted")
	logged.RawQuery = query.Encode()
	store, err := registry.Open(t.Context(), logged.String())
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// statements is how many of them Postgres has logged. Only the sessions of one
// test enable that.
func statements(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile(serverLog)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		// pgx prepares each statement once, which is not logged, and executes it.
		if strings.Contains(line, "LOG:  execute ") || strings.Contains(line, "LOG:  statement: ") {
			n++
		}
	}
	return n
}
