package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
)

// today is a full hour before which these tests have their history.
var today = time.Now().UTC().Truncate(time.Hour)

// thin thins the history of a fleet as of a moment, in small batches.
func thin(t *testing.T, store *registry.Store, now time.Time) {
	t.Helper()
	keep := watch.RetentionAt(now)
	nodes, err := store.Nodes(t.Context())
	require.NoError(t, err)
	for _, n := range nodes {
		for more := true; more; {
			more, err = store.ThinSamples(t.Context(), n.Name, keep.Whole)
			require.NoError(t, err)
		}
	}
	require.NoError(t, store.DropHours(t.Context(), keep.Any))
	for _, take := range []func() (int, error){
		func() (int, error) { return store.DropEvents(t.Context(), keep.Any, 1000) },
		func() (int, error) { return store.FoldEvents(t.Context(), keep.Whole, 1000) },
	} {
		for n := 1; n > 0; {
			n, err = take()
			require.NoError(t, err)
		}
	}
}

// sample is an observation with its figures; usage is in percent.
func sample(at time.Time, cpu float64, memory, disk uint64, running int) fleet.Observation {
	return fleet.Observation{Node: "rift", At: at, Status: &fleet.NodeStatus{NodeFigures: fleet.NodeFigures{
		CPUPercent: cpu, Memory: fleet.Usage{Total: 100, Used: memory}, Disk: fleet.Usage{Total: 100, Used: disk},
		Load: []float64{cpu / 100, 0, 0}, Running: running,
	}}}
}

func TestTheHistoryOfANodeSurvivesItsThinning(t *testing.T) {
	store, address := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift"})
	record(t, store, fleet.NodeRecord{Name: "orion"})
	old := today.Add(-watch.KeepWhole - 3*time.Hour)
	for _, o := range []fleet.Observation{
		sample(old, 10, 40, 50, 3),
		sample(old.Add(time.Minute), 90, 40, 52, 3),
		{Node: "rift", At: old.Add(2 * time.Minute), Problem: "no worker"},
		sample(old.Add(time.Hour-time.Microsecond), 20, 43, 54, 6),
		sample(old.Add(time.Hour), 60, 41, 56, 4),
		sample(today.Add(-time.Minute), 5, 39, 60, 2),
	} {
		observe(t, store, o)
	}
	want := fleet.NodeHistory{
		From: old, Observations: 5,
		CPU: fleet.Range{Low: 5, Mean: 37, High: 90}, Memory: fleet.Range{Low: 39, Mean: 40.6, High: 43},
		Disk: fleet.Range{Low: 50, Mean: 54.4, High: 60}, Load: fleet.Range{Low: 0.05, Mean: 0.37, High: 0.9},
		Running: fleet.Range{Low: 2, Mean: 3.6, High: 6},
	}
	check := func(want fleet.NodeHistory) {
		t.Helper()
		got, err := store.History(t.Context(), "rift", want.From)
		require.NoError(t, err)
		require.Equal(t, want.Observations, got.Observations)
		for name, pair := range map[string][2]fleet.Range{
			"cpu": {want.CPU, got.CPU}, "memory": {want.Memory, got.Memory}, "disk": {want.Disk, got.Disk},
			"load": {want.Load, got.Load}, "running": {want.Running, got.Running},
		} {
			require.InDeltaSlice(t, []float64{pair[0].Low, pair[0].Mean, pair[0].High},
				[]float64{pair[1].Low, pair[1].Mean, pair[1].High}, 0.001, name)
		}
	}
	check(want)
	for range 2 { // the second finds nothing to do
		thin(t, store, today)
		require.Equal(t, 1, count(t, address, "select count(*) from node_samples"))
		require.Equal(t, 2, count(t, address, "select count(*) from node_hours"))
		check(want)
	}
	five := fleet.Range{Low: 5, Mean: 5, High: 5}
	check(fleet.NodeHistory{
		From: today.Add(-time.Hour), Observations: 1, CPU: five, Memory: fleet.Range{Low: 39, Mean: 39, High: 39},
		Disk: fleet.Range{Low: 60, Mean: 60, High: 60}, Load: fleet.Range{Low: 0.05, Mean: 0.05, High: 0.05},
		Running: fleet.Range{Low: 2, Mean: 2, High: 2},
	})
	none, err := store.History(t.Context(), "orion", old)
	require.NoError(t, err)
	require.Equal(t, fleet.NodeHistory{From: old}, none)

	thin(t, store, old.Add(watch.KeepHours+time.Hour))
	require.Equal(t, 1, count(t, address, "select count(*) from node_hours where cpu = 60"), "the first hour is over")
	thin(t, store, today.Add(watch.KeepHours+2*time.Hour))
	require.Zero(t, count(t, address, "select count(*) from node_hours"))
	require.NoError(t, removeNode(t, store, "rift", watch.MayRemove))
}

func TestOldEventsAreFoldedHourByHour(t *testing.T) {
	w := newMonitored(t)
	w.at = today.Add(-watch.KeepWhole - 3*time.Hour)
	stopped := w.web()
	stopped.Running, stopped.State = false, "stopped"
	flap := func(n int) { // an event every minute
		for range n {
			w.observe(observed(stopped))
			w.observe(observed(w.web()))
		}
	}
	flap(10)
	w.observe(fleet.Observation{Problem: "no worker"})
	for range 3 {
		w.observe(fleet.Observation{Problem: "no worker"})
		w.observe(observed(w.web()))
		w.observe(fleet.Observation{Problem: "no worker"})
	}
	w.observe(observed(w.web()))
	other := w.web()
	other.Name, other.Service = "blog-web", "blog"
	w.observe(observed(w.web(), other))
	w.at = today.Add(-watch.KeepWhole - 2*time.Hour)
	flap(2)
	w.at = today.Add(-time.Hour)
	flap(3)
	last := w.at
	events := func() (lines []string) {
		found, err := w.store.Events(t.Context(), fleet.EventQuery{})
		require.NoError(t, err)
		for _, e := range found {
			lines = append(lines, fmt.Sprintf("%s %s %v %d", e.At.Truncate(time.Hour).Sub(today), e.Kind, e.Ended, e.Folded))
		}
		return lines
	}
	before := events()
	want := []string{
		"-51h0m0s stopped false 0", "-51h0m0s stopped true 18",
		"-51h0m0s unreachable false 0", "-51h0m0s back true 4",
		"-51h0m0s orphan false 0",
		"-50h0m0s orphan true 0", // of a separate hour
		"-50h0m0s stopped false 0", "-50h0m0s stopped true 2",
	}
	want = append(want, before[len(before)-6:]...) // as young as they are
	first, err := w.store.FoldEvents(t.Context(), watch.RetentionAt(today).Whole, 7)
	require.NoError(t, err)
	require.Equal(t, 7, first, "no more than it may")
	for range 2 {
		thin(t, w.store, today)
		require.ElementsMatch(t, want, events())
	}
	n, err := w.store.DropEvents(t.Context(), today.Add(-watch.KeepWhole), 3)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	thin(t, w.store, last.Add(watch.KeepHours))
	require.Len(t, events(), 2, "folded by now")
	thin(t, w.store, last.Add(watch.KeepHours+time.Hour))
	require.Empty(t, events())
}

// TestAYearOfFiftyNodesStaysSmall gives some of them a history for longer than
// it is kept, and measures what docs/monitoring.md promises.
func TestAYearOfFiftyNodesStaysSmall(t *testing.T) {
	const (
		nodes    = 2
		interval = "30 seconds"
		// The bounds in docs/monitoring.md, for fifty nodes.
		samplesBound, eventsBound = 80 << 20, 200 << 20
	)
	store, address := newStore(t)
	for i := range nodes {
		record(t, store, fleet.NodeRecord{Name: fmt.Sprintf("node-%d.example", i)})
	}
	// What has been thinned before, and two days and a bit that have not: the
	// bit is the garbage that Postgres keeps room for.
	grow := func(from, to time.Time) {
		exec(t, address, fmt.Sprintf(`
			insert into node_samples select name, at, 100 * random(), 50, 50, 1.5, 20
			from nodes, generate_series('%[1]s'::timestamptz, '%[2]s'::timestamptz - interval '1 second', '%[3]s') at;
			insert into events (at, kind, ended, node, service, component, container, detail, since)
			select at, 'stopped', extract(epoch from at)::bigint %% 60 = 30, name, 'service', 'component', 'service-component', 'exited with code 137', at
			from generate_series('%[1]s'::timestamptz, '%[2]s'::timestamptz - interval '1 second', '%[3]s') at, nodes`,
			from.Format(time.RFC3339), to.Format(time.RFC3339), interval))
	}
	exec(t, address, fmt.Sprintf(`
		insert into node_hours
		select name, hour, 120, 0, 50, 100, 50, 50, 50, 50, 50, 50, 1, 1.5, 2, 20, 20, 20
		from nodes, generate_series('%[1]s'::timestamptz, '%[2]s'::timestamptz - interval '1 hour', '1 hour') hour;
		insert into events (at, kind, ended, node, service, component, container, detail, since, folded)
		select at, 'stopped', ended, name, 'service', 'component', 'service-component', 'exited with code 137', at, 118
		from generate_series('%[1]s'::timestamptz, '%[2]s'::timestamptz - interval '1 hour', '1 hour') at, nodes, (values (false), (true)) of (ended)`,
		today.Add(-watch.KeepHours-12*time.Hour).Format(time.RFC3339), today.Add(-watch.KeepWhole-12*time.Hour).Format(time.RFC3339)))
	grow(today.Add(-watch.KeepWhole-12*time.Hour), today)
	for hour := range 3 {
		now := today.Add(time.Duration(hour) * time.Hour)
		thin(t, store, now)
		grow(now, now.Add(time.Hour))
		exec(t, address, "vacuum node_samples")
		exec(t, address, "vacuum events")
	}
	thin(t, store, today.Add(3*time.Hour))

	require.Equal(t, nodes*48*120, count(t, address, "select count(*) from node_samples"))
	require.Equal(t, nodes*28*24, count(t, address, "select count(*) from node_hours"))
	require.Equal(t, nodes*(48*120+28*24*2), count(t, address, "select count(*) from events"))
	size := func(table string) int {
		return 50 / nodes * count(t, address, fmt.Sprintf("select pg_total_relation_size('%s')", table))
	}
	samples, events := size("node_samples")+size("node_hours"), size("events")
	t.Logf("fifty nodes: %d MiB of figures, %d MiB of events", samples>>20, events>>20)
	require.Less(t, samples, samplesBound)
	require.Less(t, events, eventsBound)
}
