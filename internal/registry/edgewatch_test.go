package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

func TestTheDriftOfAnEdgeHasOneEventWhenItBeginsAndOneWhenItEnds(t *testing.T) {
	f := newFronted(t, "berlin")
	made := f.release(routed("shop", "shop.example"), 20001).Publication
	events := func() (lines []string) {
		t.Helper()
		all, err := f.store.Events(t.Context(), fleet.EventQuery{})
		require.NoError(t, err)
		for _, e := range all {
			require.Equal(t, "berlin", e.Edge)
			line := string(e.Kind) + " " + e.Subject()
			if e.Ended {
				line += " ended"
			}
			lines = append(lines, line)
		}
		return lines
	}
	missed := watch.StaleEdges([]fleet.EdgeMiss{
		{Edge: "berlin", Service: "shop", Problem: "away\x00"}, {Edge: "none", Service: "shop", Problem: "away"},
	}, time.Now().Truncate(time.Microsecond))
	for range 2 { // it may be called twice
		require.NoError(t, f.store.OpenEdgeDrift(t.Context(), missed, []string{"hook"}))
		require.Equal(t, []string{"stale-edge shop"}, events())
	}
	require.Equal(t, 1, count(t, f.address, "select count(*) from alerts"))

	at := time.Now()
	observe := func(status *fleet.EdgeStatus) (fleet.EdgeFindings, []fleet.Publication) {
		t.Helper()
		at = at.Add(30 * time.Second)
		found, missing, err := f.store.RecordEdgeDrift(t.Context(), fleet.EdgeObservation{Edge: "berlin", At: at, Status: status}, nil, watch.AssessEdge)
		require.NoError(t, err)
		return found, missing
	}
	found, missing := observe(&fleet.EdgeStatus{})
	require.Equal(t, []string{"shop"}, found.Missing)
	require.Equal(t, []fleet.Publication{made}, missing)
	require.Len(t, events(), 1)
	failing := &fleet.EdgeStatus{
		Versions:     map[string]int64{"shop": made.Version},
		Certificates: []fleet.Certificate{{Hostname: "shop.example", Problem: "no such account"}},
	}
	_, missing = observe(failing)
	require.Empty(t, missing)
	want := []string{"stale-edge shop", "stale-edge shop ended", "certificate-failed shop.example"}
	require.Equal(t, want, events())
	observe(failing)
	require.Equal(t, want, events())
	failing.Certificates = nil
	observe(failing)
	require.Equal(t, append(want, "certificate-failed shop.example ended"), events())

	before := events()
	for _, o := range []fleet.EdgeObservation{{Edge: "berlin", At: at, Status: failing}, {Edge: "none", At: at.Add(time.Minute)}} {
		found, missing, err := f.store.RecordEdgeDrift(t.Context(), o, nil, func(fleet.EdgeEvidence) fleet.EdgeFindings {
			require.Fail(t, "one that comes late, or of no edge, is ignored")
			return fleet.EdgeFindings{}
		})
		require.NoError(t, err)
		require.Empty(t, missing)
		require.Empty(t, found)
	}
	require.Equal(t, before, events())
	require.NoError(t, f.store.RemoveEdge(t.Context(), "berlin"))
	require.Equal(t, before, events(), "the events of an edge outlive it")
}

func TestAnEdgeHasWhatItAcknowledged(t *testing.T) {
	f := newFronted(t, "berlin")
	shop := f.release(routed("shop", "shop.example"), 20001).Publication
	f.release(routed("blog", "blog.example"), 20002)
	gone := f.undeploy("blog").Publication
	f.ack("berlin", shop)
	exec(t, f.address, "update publications set at = at - interval '1 hour'")
	var evidence fleet.EdgeEvidence
	_, _, err := f.store.RecordEdgeDrift(t.Context(), fleet.EdgeObservation{Edge: "berlin", At: time.Now()}, nil, func(e fleet.EdgeEvidence) fleet.EdgeFindings {
		evidence = e
		return fleet.EdgeFindings{}
	})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), evidence.Seen, time.Minute)
	require.Len(t, evidence.Wanted, 2)
	for i, want := range []fleet.WantedVersion{
		{Service: "blog", Version: gone.Version},
		{Service: "shop", Version: shop.Version, Acknowledged: shop.Version},
	} {
		got := evidence.Wanted[i]
		require.Greater(t, got.Age, 59*time.Minute)
		got.Age = 0
		require.Equal(t, want, got)
	}
}
