package crash

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lookInterval is how often the nodes of this test are looked at.
const lookInterval = 2 * time.Second

// A node whose network is cut is told of once, and its end too; the looks at
// the other one go on as before.
func TestANodeThatIsCutOffIsTold(t *testing.T) {
	r := newHall(t, 1, 2).rigs[0]
	file, err := os.OpenFile(r.config(theControlWorker), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("[monitor]\ninterval = \"" + lookInterval.String() + "\"\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	// A node's schedule takes the interval over when its worker starts.
	for _, name := range []string{theControlWorker, workerOf(nodeNames[0]), workerOf(nodeNames[1])} {
		r.parts[name].kill()
		require.NoError(t, r.parts[name].up(t.Context()))
	}

	told := func(node string) (kinds []string) {
		var events []struct{ Kind string }
		r.decode(t, &events, "events", "--node", node, "--json")
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		return kinds
	}
	seen := func(node string) time.Time {
		var status []struct{ Seen time.Time }
		r.decode(t, &status, "node", "status", node, "--json")
		return status[0].Seen
	}
	awaitLooks := func(node string, n int) {
		t.Helper()
		for last := seen(node); n > 0; n-- {
			require.NoError(t, await(patience, "a look at "+node, func() bool { return seen(node).After(last) }))
			last = seen(node)
		}
	}
	cut, other := r.nodes[0], r.nodes[1]
	awaitLooks(cut.name, 2)
	require.Empty(t, told(cut.name))
	require.NoError(t, cut.cut())
	require.NoError(t, await(patience, "it is told", func() bool { return len(told(cut.name)) > 0 }))
	awaitLooks(other.name, 3)
	require.NoError(t, cut.plug())
	require.NoError(t, await(patience, "its end is told", func() bool { return len(told(cut.name)) > 1 }))
	awaitLooks(cut.name, 2)
	require.Equal(t, []string{"unreachable", "back"}, told(cut.name))
	require.Empty(t, told(other.name))
}

// decode reads what a verb that succeeds prints as JSON.
func (r *rig) decode(t *testing.T, out any, args ...string) {
	t.Helper()
	c, err := r.mcp(args...)
	require.NoError(t, err)
	select {
	case <-c.done:
	case <-time.After(patience):
		c.Stop()
	}
	require.Zero(t, c.code(), c.stderr.String())
	require.NoError(t, json.Unmarshal(c.stdout.Bytes(), out), c.stdout.String())
}
