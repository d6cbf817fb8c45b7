package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

func TestEachDestinationGetsEachEventOnce(t *testing.T) {
	w := newMonitored(t)
	w.destinations = []string{"command", "webhook"}
	pending := func(destination string) (kinds []fleet.DriftKind) {
		events, err := w.store.Alerts(t.Context(), destination, 10)
		require.NoError(t, err)
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		return kinds
	}
	alerting := func(tooLate time.Duration) []string {
		names, err := w.store.Alerting(t.Context(), tooLate)
		require.NoError(t, err)
		return names
	}
	require.Empty(t, w.observe(fleet.Observation{Containers: []fleet.Container{w.web()}}))
	require.Empty(t, alerting(time.Hour))
	require.Equal(t, "missing", w.observe(fleet.Observation{}))
	require.Equal(t, "missing ended", w.observe(fleet.Observation{Containers: []fleet.Container{w.web()}}))
	require.Equal(t, []string{"command", "webhook"}, alerting(time.Hour))

	events, err := w.store.Alerts(t.Context(), "webhook", 1)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "shop", events[0].Service)
	for range 2 {
		require.NoError(t, w.store.MarkDelivered(t.Context(), "webhook", events[0].ID))
		require.Equal(t, []fleet.DriftKind{"missing"}, pending("webhook"), "the end of it")
		require.Len(t, pending("command"), 2)
	}

	require.Empty(t, alerting(-time.Hour), "what has happened too long ago is left out")
	require.Empty(t, pending("command"))
	all, err := w.store.Events(t.Context(), fleet.EventQuery{})
	require.NoError(t, err)
	require.Len(t, all, 2, "and is still among the events")
}
