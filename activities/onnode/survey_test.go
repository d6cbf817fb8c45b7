package onnode_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
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
		list, err := h.ListContainers(t.Context(), onnode.ListContainersInput{})
		require.NoError(t, err)
		require.InDelta(t, want, list[0].UptimeSeconds, 5)
		require.Zero(t, list[1].UptimeSeconds)
		require.False(t, list[1].Started.IsZero())
	}
}

func TestASurveyNamesTheKeysThatTheWorkerDoesNotKnow(t *testing.T) {
	found, err := newHost(t).Survey(t.Context(), onnode.SurveyInput{Service: "shop", Keys: []string{"health.http", "image", "time_travel"}})
	require.NoError(t, err)
	require.Equal(t, []string{"time_travel"}, found.UnknownKeys)
}

func TestASurveyFindsMissingSecrets(t *testing.T) {
	h := newHost(t)
	h.engine.AddSecret("key")
	missing := func(wanted ...string) []string {
		found, err := h.Survey(t.Context(), onnode.SurveyInput{Service: "shop", Secrets: wanted})
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

func TestASurveyFindsMissingNetworks(t *testing.T) {
	h := newHost(t)
	_, err := h.engine.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "here"})
	require.NoError(t, err)
	var wanted []servicedef.Component
	for name, networks := range map[string]servicedef.Networks{"one": {{Name: "here"}, {Name: "backend"}}, "two": {{Name: "here"}}, "three": {{Name: "mcp-blog"}}} {
		c := servicedef.Component{Name: name, Networks: networks}
		if demands, some := c.Demands(); some {
			wanted = append(wanted, demands)
		}
	}
	byMode, some := servicedef.Component{Name: "four", Network: "frontend"}.Demands()
	require.True(t, some)
	found, err := h.Survey(t.Context(), onnode.SurveyInput{Service: "shop", Wanted: append(wanted, byMode)})
	require.NoError(t, err)
	lack := func(name string) []runtime.Lack {
		return []runtime.Lack{{
			Key: "a network", Reason: "has no network " + name,
			Hint: "make it on rift: podman network create " + name + "; or correct the network in the definition",
		}}
	}
	require.Equal(t, map[string][]runtime.Lack{"one": lack("backend"), "four": lack("frontend")}, found.Lacks)
	for _, network := range []string{"", "bridge", "host", "none"} {
		_, some := servicedef.Component{Name: "api", Network: network}.Demands()
		require.False(t, some, network)
	}
}

func TestASurveyFindsTheImagesThatAreHere(t *testing.T) {
	h := newHost(t)
	found, err := h.Survey(t.Context(), onnode.SurveyInput{Service: "shop", Images: []string{image, "registry.test:5000/api@sha256:def"}})
	require.NoError(t, err)
	require.Equal(t, []string{image}, found.Images)
}
