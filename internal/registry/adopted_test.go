package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

// adopt opens a deployment that adopts a container as a component. All of its
// steps are one task of a workflow: if the answer of that is lost, each is repeated,
// even after the last one.
func adopt(t *testing.T, store *registry.Store, id string, m fleet.Member, ports ...int) fleet.Adopted {
	t.Helper()
	begin(t, store, "shop", m.Component)
	m.Run = runOf("shop", m.Deployment)
	request := staticRequest("shop", m.Component, m.Deployment, ports...)
	a := fleet.Adopted{ID: id, Node: m.Node, Service: "shop", Component: m.Component, Deployment: m.Deployment, Run: m.Run, Spec: m.Spec}
	found := definition("shop", m.Component)
	found.Components[0].Image = "found:v0"
	commit := func() {
		_, err := store.AllocatePorts(t.Context(), request)
		require.NoError(t, err)
		_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{
			Service: "shop", Deployment: m.Deployment, Active: true, Members: []fleet.Member{m}, Adopted: []fleet.Adopted{a}, Definition: &found,
		}, noRoutes)
		require.NoError(t, err)
	}
	commit()
	commit()
	require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
	finish(t, store, "shop", m.Deployment, "succeeded")
	commit()
	return a
}

func adopted(t *testing.T, store *registry.Store) []fleet.Adopted {
	t.Helper()
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	return release.Adopted
}

func TestAdoptedContainersAreRecordedUntilTheyAreGone(t *testing.T) {
	store, _ := newStore(t)
	route := fleet.Route{Name: "rest", Port: 8443, Mode: "l4", HostPort: 8080}
	a := adopt(t, store, "one", member("shop", "api", 1, route), 8080, 9090)
	require.Equal(t, []fleet.Adopted{a}, adopted(t, store))
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, "found:v0", release.Definition.Components[0].Image, "what was found is what can be gone back to")
	require.Equal(t, []fleet.Route{route}, release.Components["api"].Routes)

	begin(t, store, "blog", "web")
	portInUse(t, store, portRequest("blog", "web", 1, []int{8080}, "http"))
	portInUse(t, store, portRequest("blog", "web", 1, []int{9090}, "http"))

	begin(t, store, "shop", "api") // 2 replaces it, and its node dies before it is retired
	commit(t, store, "shop", 2, member("shop", "api", 2))
	finish(t, store, "shop", 2, "succeeded", "retire on rift")
	require.Equal(t, []fleet.Adopted{a}, adopted(t, store), "it may still be there")
	require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
	require.NoError(t, store.MarkMended(t.Context(), "shop", 1, ""))
	require.Len(t, adopted(t, store), 1, "that was an older one")
	require.NoError(t, store.MarkMended(t.Context(), "shop", 2, ""))
	require.Empty(t, adopted(t, store))
	require.Equal(t, []int{8080}, allocate(t, store, portRequest("blog", "web", 1, []int{8080}, "http")))
}

func TestAnAdoptedContainerOutlivesADeployThatFails(t *testing.T) {
	store, _ := newStore(t)
	a := adopt(t, store, "one", member("shop", "api", 1))
	begin(t, store, "shop", "api")
	finish(t, store, "shop", 2, "failed")
	require.Equal(t, []fleet.Adopted{a}, adopted(t, store))
	begin(t, store, "shop", "api")
	commit(t, store, "shop", 3, member("shop", "api", 3))
	finish(t, store, "shop", 3, "succeeded")
	require.Empty(t, adopted(t, store))
}
