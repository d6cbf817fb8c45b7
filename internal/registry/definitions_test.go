package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

// given opens a deployment of a definition that the operator gave; nil for a
// verb without one.
func given(t *testing.T, store *registry.Store, d servicedef.Service, verb string, by *servicedef.Service) int {
	t.Helper()
	request := beginRequest(d)
	request.DefinitionHash, request.Verb, request.Given = d.Hash(), verb, by
	begun, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	return begun.Number
}

func pending(t *testing.T, store *registry.Store) bool {
	t.Helper()
	records, err := store.Services(t.Context(), []string{"shop"})
	require.NoError(t, err)
	require.Len(t, records, 1)
	return records[0].Pending
}

func TestADefinitionIsPendingUntilItIsTheReleases(t *testing.T) {
	store, _ := newStore(t)
	record := func(d servicedef.Service) bool {
		changed, err := store.RecordDefinition(t.Context(), d)
		require.NoError(t, err)
		return changed
	}
	first, second := definition("shop", "api"), definition("shop", "api", "web")
	require.True(t, record(first))
	require.False(t, record(first))
	require.True(t, pending(t, store), "nothing runs")
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Zero(t, release.Newest)
	deployments, err := store.Deployments(t.Context(), "shop", 0)
	require.NoError(t, err)
	require.Empty(t, deployments)

	commit(t, store, "shop", given(t, store, first, "deploy", &first), member("shop", "api", 1))
	finish(t, store, "shop", 1, "succeeded")
	require.False(t, pending(t, store))
	require.True(t, record(second))
	require.True(t, pending(t, store))
	require.True(t, record(first))
	require.False(t, pending(t, store), "it was changed back")

	given(t, store, second, "deploy", &second)
	finish(t, store, "shop", 2, "failed")
	require.True(t, pending(t, store), "a deploy records its own, and this one failed")
	commit(t, store, "shop", given(t, store, second, "deploy", &second), member("shop", "api", 1), member("shop", "web", 3))
	finish(t, store, "shop", 3, "succeeded")
	require.False(t, pending(t, store))
	commit(t, store, "shop", given(t, store, first, "rollback", nil), member("shop", "api", 1))
	finish(t, store, "shop", 4, "succeeded")
	require.True(t, pending(t, store), "the definition is not what runs")

	commit(t, store, "shop", given(t, store, definition("shop"), "undeploy", nil))
	finish(t, store, "shop", 5, "succeeded")
	require.False(t, pending(t, store), "an undeploy clears it")
}

func TestADefinitionIsRecordedWhileADeployIsUnderWay(t *testing.T) {
	store, _ := newStore(t)
	d := definition("shop", "api")
	number := given(t, store, d, "deploy", &d)
	changed, err := store.RecordDefinition(t.Context(), definition("shop", "api", "web"))
	require.NoError(t, err)
	require.True(t, changed)
	commit(t, store, "shop", number, member("shop", "api", 1))
	require.True(t, pending(t, store), "the release is of what it was given")
}
