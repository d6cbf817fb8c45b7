package onnode_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

// A secret or a network that podman lacks is named, with the component, the node and what
// to do, where its container is made and where it is started again.
func TestWhatPodmanLacksIsNamed(t *testing.T) {
	h := newHost(t)
	trusting(t, h)
	c := plainAPI(7)
	c.Definition.SecretEnv = map[string]string{"KEY": "by-hand"}
	named := func(f *fault.Error, what, hint string) {
		t.Helper()
		require.NotNil(t, f)
		require.Equal(t, fault.Invalid, f.Kind, "no retry brings it")
		require.Equal(t, [2]string{"api", h.Name}, [2]string{f.Component, f.Node})
		require.Contains(t, f.Message, "component api needs the "+what+", which podman on node "+h.Name+" does not have: ")
		require.Equal(t, hint, f.Hint)
	}
	const byHand = "set it: mcp secret set shop/by-hand; or make it on rift: podman secret create by-hand FILE"
	named(h.run(c), "secret by-hand", byHand)

	h.engine.AddSecret("by-hand")
	require.Nil(t, h.run(c))
	require.Nil(t, h.cutOver(7))
	require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
	require.NoError(t, h.engine.RemoveSecret(t.Context(), "by-hand"))
	restore := onnode.RestoreInput{Service: "shop", Deployment: 8, Attended: true, Recovery: plan.Recovery{Start: fleet.Refs("shop-api")}}
	named(h.do(h.Restore, restore), "secret by-hand", byHand)
	require.False(t, h.retried(restore), "a deploy does not wait for it")
	restore.Attended = false
	require.True(t, h.retried(restore), "what follows the deploy does")
	h.engine.AddSecret("by-hand")
	require.Nil(t, h.do(h.Restore, restore), "it is started when the secret is there again")

}

// retried reports whether a Restore that fails is tried again.
func (h *host) retried(in onnode.RestoreInput) bool {
	_, err := h.env.ExecuteActivity(h.Restore, in)
	var failed *temporal.ApplicationError
	return errors.As(err, &failed) && !failed.NonRetryable()
}

// What podman has lost of the service's own secrets comes again with its containers.
func TestALostSecretOfTheServiceIsMadeAgainByARestart(t *testing.T) {
	h := newHost(t)
	v := trusting(t, h)
	c := plainAPI(7)
	c.Definition.SecretEnv, c.Definition.Versions = map[string]string{"PASSWORD": "db"}, nil
	s := sealed(7, v.seal("db", 6, "x"))
	c.Definition.Versions, c.Envelopes = s.Definition.Versions, s.Envelopes
	require.Nil(t, h.run(c))
	require.Nil(t, h.cutOver(7))
	require.NoError(t, h.engine.Stop(t.Context(), "shop-api", 0))
	require.NoError(t, h.engine.RemoveSecret(t.Context(), "mcp-shop.db.v6"))
	f := h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 8, Recovery: plan.Recovery{Start: fleet.Refs("shop-api")}})
	require.NotNil(t, f)
	require.Contains(t, f.Message, "component api needs the secret mcp-shop.db.v6, which podman on node rift does not have: ")
	require.Equal(t, "make its container again, with its secrets: mcp restart shop", f.Hint)
}

func TestAMissingNetworkIsNamed(t *testing.T) {
	h := newNamed(t)
	c := plainAPI(7)
	c.Definition.Network = "backend"
	f := h.run(c)
	require.NotNil(t, f)
	require.Equal(t, fault.Invalid, f.Kind)
	require.Contains(t, f.Message, "component api needs the network backend, which podman on node rift does not have: ")
	require.Equal(t, "make it on rift: podman network create backend; or correct the network in the definition", f.Hint)
}
