package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
)

func TestTheAuthorityIsReplaced(t *testing.T) {
	store, _ := newStore(t)
	e := &enrolling{T: t, Store: store}
	rotated := func(step string) []fleet.AuditEntry {
		return entries("identity rotate", identity.Identity{Role: identity.Operator, Name: step})
	}
	waiting := func(next string) (names []string) {
		t.Helper()
		list, err := e.WaitingForRotation(t.Context(), next)
		require.NoError(t, err)
		for _, r := range list {
			names = append(names, r.String())
		}
		return names
	}
	keys := func() map[string]registry.GatewayKey {
		t.Helper()
		all, err := e.GatewayKeys(t.Context())
		require.NoError(t, err)
		return all
	}
	first, second := registry.GatewayKey{Sealed: []byte("first"), Public: "1"}, registry.GatewayKey{Sealed: []byte("second"), Public: "2"}
	require.NoError(t, e.AddGatewayKeys(t.Context(), map[string]registry.GatewayKey{registry.GatewayAuthority: first}))
	_, err := e.FinishRotation(t.Context(), "2", "b", true, rotated("early"))
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	require.NoError(t, e.BeginRotation(t.Context(), second, rotated("begin")))
	require.NoError(t, e.BeginRotation(t.Context(), registry.GatewayKey{Sealed: []byte("third"), Public: "3"}, rotated("begin")))
	require.Equal(t, map[string]registry.GatewayKey{registry.GatewayAuthority: first, registry.GatewayNextAuthority: second}, keys())

	// An identity that has joined waits until it is renewed, one that is invited until it has
	// joined, and one that is revoked does not.
	id, hash := e.create(identity.Identity{Role: identity.Node, Name: "rift"})
	require.Equal(t, []string{"node/rift"}, waiting("b"))
	_, err = e.use(hash, "key-1")
	require.NoError(t, err)
	require.Equal(t, []string{"node/rift"}, waiting("b"))
	_, gone := e.create(identity.Identity{Role: identity.Edge, Name: "front"})
	_, err = e.use(gone, "key-2")
	require.NoError(t, err)
	require.NoError(t, e.RevokeIdentity(t.Context(), identity.Edge, "front", "operator/anna", entries("identity revoke", identity.Identity{Role: identity.Edge, Name: "front"})))
	require.Equal(t, []string{"node/rift"}, waiting("b"))
	needed, err := e.FinishRotation(t.Context(), "2", "b", false, rotated("finish"))
	require.NoError(t, err)
	require.Len(t, needed, 1)
	require.Contains(t, keys(), registry.GatewayNextAuthority, "nothing is changed")
	_, err = e.RenewIdentity(t.Context(), id, identity.DefaultLife, "b")
	require.NoError(t, err)
	require.Empty(t, waiting("b"))
	list, err := e.Identities(t.Context())
	require.NoError(t, err)
	require.Equal(t, "b", list[1].Authority)

	_, err = e.FinishRotation(t.Context(), "3", "c", false, rotated("finish"))
	require.True(t, fault.Is(err, fault.Conflict), "of another next one: %v", err)
	needed, err = e.FinishRotation(t.Context(), "2", "b", false, rotated("finish"))
	require.NoError(t, err)
	require.Empty(t, needed)
	require.Equal(t, map[string]registry.GatewayKey{registry.GatewayAuthority: second}, keys())
}
