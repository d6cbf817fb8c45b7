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

// mostStatements bounds the statements of an update of one component. Each is a
// round trip, in a transaction that holds the service's lock: lower the bound when
// possible, and raise it only for a reason.
const mostStatements = 42

// TestAnUpdateTakesFewStatements counts, in Postgres' own log, the statements of a
// deploy.
func TestAnUpdateTakesFewStatements(t *testing.T) {
	_, address := newStore(t)
	logged, err := url.Parse(address)
	require.NoError(t, err)
	query := logged.Query()
	query.Set("log_statement", "all")
	query.Set("application_name", "counted")
	logged.RawQuery = query.Encode()
	store, err := registry.Open(t.Context(), logged.String())
	require.NoError(t, err)
	t.Cleanup(store.Close)
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
	before := statements(t)
	require.Positive(t, before, "Postgres logs what this asks")
	deploy(2, 20002)
	taken := statements(t) - before
	t.Logf("%d statements", taken)
	require.LessOrEqual(t, taken, mostStatements)
	require.Greater(t, taken, mostStatements/2, "lower the bound")
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
