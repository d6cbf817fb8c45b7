package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// A key is lost, with which the records of one service are encrypted, and not those of
// another one: they are named, and forgotten alone, and the service is deployed again.
func TestWhatALostKeyHasEncryptedIsForgotten(t *testing.T) {
	_, address := newStore(t)
	lost, kept := newKeys(t), newKeys(t)
	former := openSealed(t, address, lost)
	require.NoError(t, former.KeepKeys(t.Context()))
	secretly(t, former, "shop")
	store := openSealed(t, address, kept)
	id := ids(t, lost)[0]
	requireLost := func(err error) {
		t.Helper()
		require.True(t, fault.Is(err, fault.Unauthorized), err)
		require.ErrorContains(t, err, id)
	}
	requireLost(store.KeepKeys(t.Context()))
	_, err := store.Release(t.Context(), "shop")
	requireLost(err)
	secretly(t, store, "other")

	found, recorded, err := store.EncryptedWith(t.Context(), id)
	require.NoError(t, err)
	require.True(t, recorded)
	require.Equal(t, []fleet.LostRecords{{Service: "shop", Given: true, Release: 1, Failures: 1, Steps: 1, Runs: 1}}, found)
	none, recorded, err := store.EncryptedWith(t.Context(), "20261129-nonono")
	require.NoError(t, err)
	require.False(t, recorded)
	require.Empty(t, none)

	require.NoError(t, store.ForgetKey(t.Context(), id))
	require.NoError(t, store.ForgetKey(t.Context(), id), "it may run twice")
	require.NoError(t, store.KeepKeys(t.Context()))
	found, recorded, err = store.EncryptedWith(t.Context(), id)
	require.NoError(t, err)
	require.False(t, recorded)
	require.Empty(t, found)
	readsSecretly(t, store, "other")

	// What is known of the release is that it runs, and where.
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Nil(t, release.Definition)
	require.Equal(t, id, release.LostKey)
	require.Equal(t, 1, release.Number)
	require.Equal(t, "rift", release.Components["api"].Node)
	exec(t, address, `update deployments set outcome = 'succeeded' where service = 'shop'`)
	_, err = store.Snapshot(t.Context(), "shop", 1)
	require.True(t, fault.Is(err, fault.NotFound), err)
	require.ErrorContains(t, err, "the definition of release 1 of shop is lost with encryption key "+id)
	deployments, err := store.Deployments(t.Context(), "shop", 0)
	require.NoError(t, err)
	require.Equal(t, "lost with encryption key "+id, deployments[0].ErrorMessage)
	tasks, err := store.Tasks(t.Context(), fleet.TaskQuery{Service: "shop"})
	require.NoError(t, err)
	require.Equal(t, "lost with encryption key "+id, tasks[0].Detail)
	begun, err := store.BeginRun(t.Context(), fleet.RunRequest{Service: "shop", Job: "night", RunID: "again"})
	require.NoError(t, err)
	require.Contains(t, begun.Refused, "lost with encryption key "+id)
	resealed, err := store.Reseal(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, 3, resealed.Rows, "the messages in the place of what is lost")

	// A deploy from the file makes it whole.
	d := definition("shop", "api")
	d.Components[0].Env = map[string]string{"TOKEN": canary}
	request := beginRequest(d)
	again, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, id, again.Release.LostKey)
	_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: "shop", Deployment: again.Number, Run: request.RunID, Active: true,
		Members: []fleet.Member{{Component: "api", Container: "shop-api", Node: "rift", Deployment: again.Number, Image: "api:v1", Digest: "sha256:1", Active: true}},
	}, noRoutes)
	require.NoError(t, err)
	release, err = store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Empty(t, release.LostKey)
	require.Equal(t, canary, release.Definition.Components[0].Env["TOKEN"])
}

// Edges go on with what they have of a service whose definition is lost.
func TestALostDefinitionTakesNothingOffTheEdges(t *testing.T) {
	_, address := newStore(t)
	lost := newKeys(t)
	former := openSealed(t, address, lost)
	d := definition("shop", "api")
	request := beginRequest(d)
	begun, err := former.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	served := []fleet.EdgeRoute{{Endpoint: fleet.Endpoint{Port: 443, Protocol: "http", Hostname: "shop.example"}}}
	routes := func(source fleet.PublicationSource) []fleet.EdgeRoute {
		if source.Definition == nil {
			return nil
		}
		return served
	}
	_, err = former.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: "shop", Deployment: begun.Number, Run: request.RunID, Active: true,
		Claims:  []fleet.Endpoint{served[0].Endpoint},
		Members: []fleet.Member{{Component: "api", Container: "shop-api", Node: "rift", Deployment: begun.Number, Image: "api:v1", Digest: "sha256:1", Active: true}},
	}, routes)
	require.NoError(t, err)
	require.NoError(t, former.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: begun.Number, Run: request.RunID, Outcome: "succeeded"}))

	store := openSealed(t, address, newKeys(t))
	require.NoError(t, store.ForgetKey(t.Context(), ids(t, lost)[0]))
	published, err := store.Publish(t.Context(), fleet.PublishRequest{Service: "shop"}, routes)
	require.NoError(t, err)
	require.Equal(t, served, published.Publication.Routes)
}
