package crash

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// monitorInterval is how often the nodes of this test are observed.
const monitorInterval = 2 * time.Second

// TestANodeThatIsCutOffIsReported cuts one node's network: that is one event, and its
// end another, and the other node is observed as before.
func TestANodeThatIsCutOffIsReported(t *testing.T) {
	t.Parallel()
	r := pool.rig(t)
	usual, err := os.ReadFile(r.config(theControlWorker))
	require.NoError(t, err)
	r.reconfigure(t, string(usual)+"[monitor]\ninterval = \""+monitorInterval.String()+"\"\n")
	t.Cleanup(func() { r.reconfigure(t, string(usual)) })

	// events are those of the node itself since the test began: former cases have cut
	// nodes off too, and left services without containers.
	former := map[string]int{}
	events := func(node string) (kinds []string) {
		var list []struct{ Kind, Service string }
		r.decode(t, &list, "events", "--node", node, "--json")
		for _, e := range list {
			if e.Service == "" {
				kinds = append(kinds, e.Kind)
			}
		}
		return kinds[former[node]:]
	}
	seen := func(node string) time.Time {
		var status []struct{ Seen time.Time }
		r.decode(t, &status, "node", "status", node, "--json")
		return status[0].Seen
	}
	awaitObservations := func(node string, n int) {
		t.Helper()
		for last := seen(node); n > 0; n-- {
			require.NoError(t, await(timeout, "an observation of "+node, func() bool { return seen(node).After(last) }))
			last = seen(node)
		}
	}
	cut, other := r.nodes[0], r.nodes[1]
	awaitObservations(cut.name, 2)
	awaitObservations(other.name, 2)
	for _, m := range r.nodes {
		former[m.name] = len(events(m.name))
	}
	require.NoError(t, cut.cut())
	require.NoError(t, await(timeout, "an event", func() bool { return len(events(cut.name)) > 0 }))
	awaitObservations(other.name, 3)
	require.NoError(t, cut.plug())
	require.NoError(t, await(timeout, "its end", func() bool { return len(events(cut.name)) > 1 }))
	awaitObservations(cut.name, 2)
	require.Equal(t, []string{"unreachable", "back"}, events(cut.name))
	require.Empty(t, events(other.name))
}

// reconfigure restarts the control worker with a configuration, and the nodes'
// workers, whose start takes a monitor's interval over.
func (r *rig) reconfigure(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(r.config(theControlWorker), []byte(text), 0o600))
	names := []string{theControlWorker}
	for _, m := range r.nodes {
		names = append(names, workerOf(m.name))
	}
	for _, name := range names {
		r.parts[name].kill()
		require.NoError(t, r.parts[name].up(context.Background()))
	}
	for _, m := range r.nodes {
		require.NoError(t, await(timeout, m.name+" answers", func() bool { return r.answers(context.Background(), m.name) }))
	}
}

// decode decodes the JSON that a verb which succeeds prints.
func (r *rig) decode(t *testing.T, out any, args ...string) {
	t.Helper()
	c, err := r.mcp(args...)
	require.NoError(t, err)
	select {
	case <-c.done:
	case <-time.After(timeout):
		c.Stop()
	}
	require.Zero(t, c.code(), c.stderr.String())
	require.NoError(t, json.Unmarshal(c.stdout.Bytes(), out), c.stdout.String())
}
