package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/runtime"
)

// aged is an engine whose containers were started a while ago.
type aged struct {
	*runtime.Fake
	age time.Duration
}

func (a aged) List(ctx context.Context, labels map[string]string) ([]runtime.ContainerInfo, error) {
	infos, err := a.Fake.List(ctx, labels)
	for i := range infos {
		infos[i].Started = infos[i].Started.Add(-a.age)
	}
	return infos, err
}

func TestANodeComputesUptimesItself(t *testing.T) {
	h := newHost(t)
	for _, name := range []string{"old", "stopped"} {
		_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: name, Image: image})
		require.NoError(t, err)
	}
	require.NoError(t, h.engine.Stop(t.Context(), "stopped", time.Second))
	for age, want := range map[time.Duration]int64{90 * time.Minute: 5400, -time.Hour: 0} {
		h.Runtime = aged{h.engine, age}
		list, err := h.ListContainers(t.Context(), activities.ListContainersInput{})
		require.NoError(t, err)
		require.InDelta(t, want, list[0].UptimeSeconds, 5)
		require.Zero(t, list[1].UptimeSeconds)
		require.False(t, list[1].Started.IsZero())
	}
}

func TestASurveyNamesTheKeysThatTheWorkerDoesNotKnow(t *testing.T) {
	found, err := newHost(t).Survey(t.Context(), activities.SurveyInput{Service: "shop", Keys: []string{"health.http", "image", "time_travel"}})
	require.NoError(t, err)
	require.Equal(t, []string{"time_travel"}, found.UnknownKeys)
}

func TestASurveyFindsMissingSecrets(t *testing.T) {
	h := newHost(t)
	h.engine.AddSecret("key")
	missing := func(wanted ...string) []string {
		found, err := h.Survey(t.Context(), activities.SurveyInput{Service: "shop", Secrets: wanted})
		require.NoError(t, err)
		return found.MissingSecrets
	}
	require.Empty(t, missing("key"))
	require.Equal(t, []string{"cert", "password"}, missing("cert", "key", "password"))
	asked := h.engine.Calls()
	require.Contains(t, asked, runtime.FakeCall{Method: "Secrets"})
	require.Empty(t, missing())
	require.NotContains(t, h.engine.Calls()[len(asked):], runtime.FakeCall{Method: "Secrets"}, "a survey without secrets does not list them")
}

func TestASurveyFindsTheImagesThatAreHere(t *testing.T) {
	h := newHost(t)
	found, err := h.Survey(t.Context(), activities.SurveyInput{Service: "shop", Images: []string{image, "registry.test:5000/api@sha256:def"}})
	require.NoError(t, err)
	require.Equal(t, []string{image}, found.Images)
}
