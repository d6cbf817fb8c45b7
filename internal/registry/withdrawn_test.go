package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// TestAWithdrawnVersionIsNoVersion takes versions back, and adds others afterwards.
func TestAWithdrawnVersionIsNoVersion(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	withdraw := func(version int) {
		t.Helper()
		for range 2 { // an activity may run twice
			require.NoError(t, store.WithdrawSecret(t.Context(), secrets.Ref{Service: "shop", Name: "db", Version: version}))
		}
	}
	recorded := func() secrets.Secret {
		t.Helper()
		all := listed(t, store, "shop")
		return all[0]
	}
	first := v.add(v.addition("db", 1, "one"))
	withdraw(1)
	require.Equal(t, 1, recorded().Newest, "the only version stays")

	second := v.add(v.addition("db", 2, "two"))
	withdraw(1)
	require.Equal(t, 2, recorded().Newest, "one that is not the newest stays")
	require.Len(t, recorded().Versions, 2)

	withdraw(2)
	found := recorded()
	require.Equal(t, 1, found.Newest)
	require.Equal(t, 2, found.Last)
	require.Len(t, found.Versions, 1)
	require.Equal(t, 1, v.kept()["db"].Newest, "the next deploy has the version before it")
	_, err := store.Envelopes(t.Context(), []secrets.Ref{second.Envelope.Ref})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	envelopes, err := store.Envelopes(t.Context(), []secrets.Ref{first.Envelope.Ref})
	require.NoError(t, err)
	require.Equal(t, first.Envelope, envelopes[0])

	err = store.AddSecret(t.Context(), v.addition("db", 2, "another two"))
	require.True(t, fault.Is(err, fault.Conflict), "its number is not used again: %v", err)
	v.add(v.addition("db", 3, "three"))
	found = recorded()
	require.Equal(t, 3, found.Newest)
	require.Zero(t, found.Last)

	v.add(v.addition("db", 4, "four"))
	withdraw(4)
	require.Equal(t, 3, recorded().Newest, "the one before it is the newest that is kept")
	_, err = store.RemoveSecret(t.Context(), "shop", "db", func(fleet.Release) error { return nil })
	require.NoError(t, err)
	err = store.AddSecret(t.Context(), v.addition("db", 4, "four"))
	require.True(t, fault.Is(err, fault.Conflict), "a removal does not give the number back: %v", err)
	v.add(v.addition("db", 5, "five"))

	// What the release has stays.
	v.add(v.addition("db", 6, "six"))
	begin(t, store, "shop", "api")
	definition := servicedef.Service{Name: "shop", Node: "rift", Active: true, Components: []servicedef.Component{{
		Name: "api", Node: "rift", Image: "r.example/api:v1", Versions: servicedef.SecretVersions{"password": {Name: "db", Version: 6}},
	}}}
	_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: "shop", Deployment: 1, Active: true, Succeeds: true, Members: []fleet.Member{member("shop", "api", 1)},
		Definition: &definition, Secrets: true, KeptReleases: 5,
	}, nil)
	require.NoError(t, err)
	withdraw(6)
	require.Equal(t, 6, recorded().Newest)
}
