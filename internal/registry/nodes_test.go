package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

func TestNodes(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api") // names rift, which has not announced itself
	now := time.Now().Truncate(time.Microsecond)
	orion := fleet.NodeRecord{Name: "orion", Address: "10.0.0.2", Runtime: "podman 4.3.1", Version: "v1", Seen: now}
	for range 2 {
		record(t, store, orion)
	}
	late := orion
	late.Version, late.Seen = "v0", now.Add(-time.Minute)
	record(t, store, late)

	nodes, err := store.Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	require.True(t, nodes[0].Seen.Equal(now))
	nodes[0].Seen = now
	require.Equal(t, []fleet.NodeRecord{orion}, nodes)

	record(t, store, fleet.NodeRecord{Name: "rift"})
	nodes, err = store.Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 2)
	require.WithinDuration(t, time.Now(), nodes[1].Seen, time.Minute)
}

func TestLastSeenIsTheNewestSightingOfANode(t *testing.T) {
	store, _ := newStore(t)
	lastSeen := func() time.Time {
		t.Helper()
		seen, err := store.LastSeen(t.Context(), "rift")
		require.NoError(t, err)
		return seen
	}
	require.True(t, lastSeen().IsZero(), "it has not been named")
	begin(t, store, "shop", "api")
	require.True(t, lastSeen().IsZero(), "a definition has named it")
	announced := time.Now().Truncate(time.Microsecond).Add(-time.Hour)
	record(t, store, fleet.NodeRecord{Name: "rift", Seen: announced})
	require.True(t, lastSeen().Equal(announced))
	answered := announced.Add(time.Minute)
	observe(t, store, fleet.Observation{Node: "rift", At: answered, Status: &fleet.NodeStatus{}})
	require.True(t, lastSeen().Equal(answered))
	observe(t, store, fleet.Observation{Node: "rift", At: answered.Add(time.Minute), Problem: "no worker polls node-rift"})
	require.True(t, lastSeen().Equal(answered), "it has not answered since")
}

// record records a node.
func record(t testing.TB, store *registry.Store, r fleet.NodeRecord) fleet.Boot {
	t.Helper()
	boot, err := store.RecordNode(t.Context(), r)
	require.NoError(t, err)
	return boot
}

func TestABootIsNewUntilItsContainersRun(t *testing.T) {
	store, _ := newStore(t)
	first := fleet.NodeRecord{Name: "rift", Boot: "b1"}
	require.Equal(t, fleet.Boot{New: true, Services: []string{}}, record(t, store, first))
	require.True(t, record(t, store, first).New, "the first worker may have died")
	require.NoError(t, store.MarkRevived(t.Context(), "rift", "b1"))
	require.False(t, record(t, store, first).New)

	for _, name := range []string{"shop", "blog"} {
		begin(t, store, name, "web")
		commit(t, store, name, 1, member(name, "web", 1))
		finish(t, store, name, 1, "succeeded")
	}
	second := fleet.NodeRecord{Name: "rift", Boot: "b2"}
	require.Equal(t, fleet.Boot{New: true, Services: []string{"blog", "shop"}}, record(t, store, second))
	orion := fleet.NodeRecord{Name: "orion", Boot: "b2"}
	require.Empty(t, record(t, store, orion).Services)
	begin(t, store, "wiki", "web")
	require.Equal(t, []string{"wiki"}, record(t, store, orion).Services, "it may come to run there")
	require.False(t, record(t, store, fleet.NodeRecord{Name: "rift"}).New, "a worker that does not know")
}
