package registry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
)

// monitored is the node rift, which runs a released service and is observed.
type monitored struct {
	t       *testing.T
	store   *registry.Store
	address string
	at      time.Time
	member  fleet.Member
	// destinations get an alert for each event.
	destinations []string
}

func newMonitored(t *testing.T) *monitored {
	store, address := newStore(t)
	record(t, store, fleet.NodeRecord{Name: "rift"})
	begin(t, store, "shop", "web")
	w := &monitored{t: t, store: store, address: address, at: time.Now().Truncate(time.Microsecond), member: member("shop", "web", 1)}
	commit(t, store, "shop", 1, w.member)
	finish(t, store, "shop", 1, "succeeded")
	w.settle()
	return w
}

// settle moves the deployments into the past.
func (w *monitored) settle() {
	exec(w.t, w.address, "update deployments set finished_at = finished_at - interval '1 hour' where finished_at is not null")
}

// web is the service's container as it was released.
func (w *monitored) web() fleet.Container {
	return fleet.Container{
		Name: w.member.Container, Service: "shop", Component: "web", Deployment: w.member.Deployment, Run: w.member.Run, Spec: w.member.Spec, Running: true,
		ID: "c1", Image: w.member.Image, Digest: w.member.Digest, State: "running",
		Started: time.Date(2025, 6, 1, 12, 0, 0, 123456789, time.UTC),
	}
}

// observe records an observation and returns its events, as "kind" or "kind ended".
func (w *monitored) observe(o fleet.Observation) string {
	w.t.Helper()
	w.at = w.at.Add(time.Minute)
	o.Node, o.At = "rift", w.at
	if o.Problem == "" && o.Status == nil {
		o.Status = &fleet.NodeStatus{Hostname: "rift.example", NodeFigures: fleet.NodeFigures{Load: []float64{0.5, 0.4, 0.3}}}
	}
	var kinds []string
	for _, e := range observe(w.t, w.store, o, w.destinations...).Events {
		text := string(e.Kind)
		if e.Ended {
			text += " ended"
		}
		kinds = append(kinds, text)
	}
	return strings.Join(kinds, ", ")
}

func observed(containers ...fleet.Container) fleet.Observation {
	return fleet.Observation{Containers: containers}
}

func TestADriftHasOneEventWhenItBeginsAndOneWhenItEnds(t *testing.T) {
	w := newMonitored(t)
	stopped := w.web()
	stopped.Running, stopped.State, stopped.ExitCode = false, "stopped", 137
	require.Empty(t, w.observe(observed(w.web())))
	require.Equal(t, "stopped", w.observe(observed(stopped)))
	began := w.at
	require.Empty(t, w.observe(observed(stopped)))
	require.Empty(t, w.observe(fleet.Observation{Problem: "restarted"}))
	require.Empty(t, w.observe(observed(stopped)), "one unanswered observation does not count")
	require.Empty(t, w.observe(fleet.Observation{Problem: "restarted"}))
	away := w.at
	require.Equal(t, "unreachable", w.observe(fleet.Observation{Problem: "no worker"}))
	require.Empty(t, w.observe(fleet.Observation{Problem: "no worker"}))
	require.Equal(t, "back ended", w.observe(observed(stopped)))
	require.Equal(t, "stopped ended", w.observe(observed(w.web())))
	require.Empty(t, w.observe(observed(w.web())))

	events, err := w.store.Events(t.Context(), fleet.EventQuery{})
	require.NoError(t, err)
	require.Len(t, events, 4)
	first, last := events[0], events[3]
	require.True(t, first.At.Equal(began) && first.Since.Equal(began))
	require.Equal(t, fleet.Drift{
		Kind: fleet.DriftStopped, Service: "shop", Component: "web", Container: "shop-web", Detail: "exited with code 137",
	}, first.Drift)
	require.Equal(t, "rift", first.Node)
	require.True(t, last.Ended && last.Since.Equal(began))
	require.Equal(t, "no worker", events[1].Detail)
	require.True(t, events[1].Since.Equal(away) && events[2].Since.Equal(away))
	require.True(t, slices.IsSortedFunc(events, func(a, b fleet.Event) int { return int(a.ID - b.ID) }))
}

func TestALateOrRepeatedObservationChangesNothing(t *testing.T) {
	w := newMonitored(t)
	o := observed()
	require.Equal(t, "missing", w.observe(o))
	o.Node, o.At = "rift", w.at
	for _, at := range []time.Time{w.at, w.at.Add(-time.Second)} {
		o.At, o.Containers = at, []fleet.Container{w.web()}
		require.Empty(t, observe(t, w.store, o).Events)
	}
	require.Zero(t, count(t, w.address, "select count(*) from observed_containers"))
	require.Equal(t, "missing ended", w.observe(observed(w.web())))
	require.Equal(t, 1, count(t, w.address, "select count(*) from observed_containers where name = 'shop-web' and state = 'running'"))
}

func TestTheWatchedNodesAreThoseThatHaveAnnouncedThemselves(t *testing.T) {
	w := newMonitored(t)
	claimed := fleet.Claim{Node: "claimed", Machine: fleet.Machine{ID: "m1", Boot: "b1"}}
	_, err := w.store.ClaimNode(t.Context(), claimed, nil, watch.Judge)
	require.NoError(t, err)
	record(t, w.store, fleet.NodeRecord{Name: "orion"})
	watched := func() []fleet.WatchedNode {
		nodes, err := w.store.WatchedNodes(t.Context())
		require.NoError(t, err)
		return nodes
	}
	require.Equal(t, []fleet.WatchedNode{{Name: "orion"}, {Name: "rift"}}, watched())
	w.observe(fleet.Observation{Problem: "no worker"})
	require.Equal(t, []fleet.WatchedNode{{Name: "orion"}, {Name: "rift", Silent: true}}, watched(), "from the first unanswered observation on")
	w.observe(observed(w.web()))
	require.Equal(t, []fleet.WatchedNode{{Name: "orion"}, {Name: "rift"}}, watched())
	require.NoError(t, removeNode(t, w.store, "orion", watch.MayRemove))
	require.Equal(t, []fleet.WatchedNode{{Name: "rift"}}, watched())
}

func TestAnObservationOfAnUnknownNodeIsNotFound(t *testing.T) {
	store, _ := newStore(t)
	_, err := store.RecordObservation(t.Context(), observing(fleet.Observation{Node: "nowhere", At: time.Now()}), watch.Assess)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestADeployUnderWayIsNoDrift(t *testing.T) {
	w := newMonitored(t)
	stray := w.web()
	stray.Name, stray.Service = "blog-web", "blog"
	require.Equal(t, "orphan", w.observe(observed(w.web(), stray)))

	begin(t, w.store, "shop", "web")
	require.Equal(t, "orphan ended", w.observe(observed()), "others are still watched")
	finish(t, w.store, "shop", 2, "succeeded")
	require.Empty(t, w.observe(observed()), "it had not ended when the observation began")
	w.settle()
	require.Equal(t, "missing", w.observe(observed()))

	begin(t, w.store, "shop", "web")
	require.Empty(t, w.observe(observed(w.web())), "what was open stays open")
	open, err := w.store.OpenRuns(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.NoError(t, w.store.CloseLost(t.Context(), open[0]))
	require.Equal(t, "missing ended", w.observe(observed(w.web())), "its workflow was terminated: the service is not busy")
	begin(t, w.store, "shop", "web")
	require.NoError(t, w.store.CloseLost(t.Context(), open[0]))
	require.Empty(t, w.observe(observed()), "a newer one has begun since")
}

func TestALongObservationIgnoresWhatWasDeployedMeanwhile(t *testing.T) {
	w := newMonitored(t)
	exec(t, w.address, "update deployments set finished_at = now() - interval '1 minute'")
	slow := observed()
	slow.Age = 2 * time.Minute
	require.Empty(t, w.observe(slow))
	require.Equal(t, "missing", w.observe(observed()))
}

func TestRestartsAddUp(t *testing.T) {
	w := newMonitored(t)
	c := w.web()
	c.Started = w.at
	for _, want := range []string{"", "", "", "flapping", "", ""} {
		require.Equal(t, want, w.observe(observed(c)))
		c.Restarts++
		c.Started = w.at
	}
	c.Restarts--
	w.at = w.at.Add(watch.FlapWindow)
	require.Equal(t, "flapping ended", w.observe(observed(c)))
}

func TestEventsAreSelected(t *testing.T) {
	w := newMonitored(t)
	record(t, w.store, fleet.NodeRecord{Name: "orion"})
	require.Equal(t, "missing", w.observe(observed()))
	missingAt := w.at
	for i := range 2 {
		observe(t, w.store, fleet.Observation{Node: "orion", At: w.at.Add(time.Duration(i+1) * time.Second), Problem: "no worker"})
	}
	require.Equal(t, "missing ended", w.observe(observed(w.web())))
	all, err := w.store.Events(t.Context(), fleet.EventQuery{})
	require.NoError(t, err)
	require.Len(t, all, 3)
	for _, test := range []struct {
		name  string
		query fleet.EventQuery
		want  []fleet.Event
	}{
		{"a service's", fleet.EventQuery{Service: "shop"}, []fleet.Event{all[0], all[2]}},
		{"a node's", fleet.EventQuery{Node: "orion"}, all[1:2]},
		{"those of both", fleet.EventQuery{Service: "shop", Node: "orion"}, []fleet.Event{}},
		{"those from then on", fleet.EventQuery{From: missingAt.Add(time.Millisecond)}, all[1:]},
		{"those after one", fleet.EventQuery{After: all[1].ID}, all[2:]},
		{"the newest", fleet.EventQuery{Limit: 2}, all[1:]},
	} {
		found, err := w.store.Events(t.Context(), test.query)
		require.NoError(t, err)
		require.Equal(t, test.want, found, test.name)
	}
}

func TestTheStateOfNodes(t *testing.T) {
	w := newMonitored(t)
	record(t, w.store, fleet.NodeRecord{Name: "orion", Address: "10.0.0.2"})
	require.Equal(t, "missing", w.observe(observed()))
	answered := w.at
	require.Empty(t, w.observe(fleet.Observation{Problem: "no worker"}))
	since := w.at
	states, err := w.store.NodeStates(t.Context())
	require.NoError(t, err)
	require.Equal(t, fleet.NodeReady, states[1].State, "one unanswered observation does not count")
	require.Equal(t, "unreachable", w.observe(fleet.Observation{Problem: "no worker"}))
	require.Empty(t, w.observe(fleet.Observation{Problem: "no worker"}))

	states, err = w.store.NodeStates(t.Context())
	require.NoError(t, err)
	require.Len(t, states, 2)
	orion, rift := states[0], states[1]
	require.Equal(t, "10.0.0.2", orion.Address)
	require.Empty(t, orion.State)
	require.Nil(t, orion.Status)
	require.Empty(t, orion.Drift)
	require.Equal(t, fleet.NodeUnreachable, rift.State)
	require.True(t, rift.Since.Equal(since))
	require.True(t, rift.Answered.Equal(answered))
	require.Equal(t, &fleet.NodeStatus{Hostname: "rift.example", NodeFigures: fleet.NodeFigures{Load: []float64{0.5, 0.4, 0.3}}}, rift.Status)
	require.Len(t, rift.Drift, 2)
	require.Equal(t, []fleet.DriftKind{fleet.DriftMissing, fleet.DriftUnreachable}, []fleet.DriftKind{rift.Drift[0].Kind, rift.Drift[1].Kind})
}

func TestANodeWhoseClockIsAnHourOffMakesNoEvents(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		w := newMonitored(t)
		uptime := int64(5000) // the kernel counts it independently of the clock
		observation := func(c fleet.Container) string {
			uptime += 60
			o := observed(c)
			o.Status = &fleet.NodeStatus{NodeFigures: fleet.NodeFigures{UptimeSeconds: uptime}}
			return w.observe(o)
		}
		c := w.web()
		c.Started = w.at.Add(off) // by the node's clock; in the future, perhaps
		for range 5 {
			require.Empty(t, observation(c), off)
		}
		stopped := c
		stopped.Running, stopped.State = false, "stopped"
		require.Equal(t, "stopped", observation(stopped))
		began := w.at
		c.Started = w.at.Add(off).Add(30 * time.Second)
		require.Equal(t, "stopped ended", observation(c))
		// The clock is set right: what runs has started when it has started.
		require.Empty(t, observation(c))
		c.Started = w.at.Add(30 * time.Second)
		require.Empty(t, observation(c), "one restart is no flapping, whichever way the clock went")
		require.Empty(t, observation(c))

		events, err := w.store.Events(t.Context(), fleet.EventQuery{})
		require.NoError(t, err)
		require.Len(t, events, 2)
		require.True(t, events[0].At.Equal(began) && events[1].Since.Equal(began), "events have the observations' clock")
		require.Equal(t, time.Minute, events[1].At.Sub(events[1].Since))
		states, err := w.store.NodeStates(t.Context())
		require.NoError(t, err)
		require.True(t, states[0].Answered.Equal(w.at))
		require.Equal(t, uptime, states[0].Status.UptimeSeconds)
		history, err := w.store.History(t.Context(), "rift", began.Add(-time.Hour))
		require.NoError(t, err)
		require.Equal(t, 10, history.Observations)
	}
}
