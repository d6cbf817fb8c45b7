package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
)

// TestVersionsOfSecretsGoWithTheReleasesThatNamedThem commits releases, each with a newer
// version of a secret, and one that is named by a step alone.
func TestVersionsOfSecretsGoWithTheReleasesThatNamedThem(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	v.claim("rift", v.rift.Key)
	commitWith := func(number, version int, keep int) []fleet.SecretRef {
		begin(t, store, "shop", "api")
		definition := servicedef.Service{Name: "shop", Node: "rift", Active: true, Components: []servicedef.Component{{
			Name: "api", Node: "rift", Image: "r.example/api:v1", Versions: servicedef.SecretVersions{"db": {Name: "db", Version: version}},
		}}, Steps: []servicedef.Step{{Name: "migrate", Versions: servicedef.SecretVersions{"admin": {Name: "admin", Version: 1}}}}}
		r := fleet.CommitRequest{
			Service: "shop", Deployment: number, Active: true, Succeeds: true, Members: []fleet.Member{member("shop", "api", number)},
			Definition: &definition, Secrets: true, KeptReleases: keep,
		}
		committed, err := store.CommitRelease(t.Context(), r, nil)
		require.NoError(t, err)
		require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: number, Outcome: "succeeded"}))
		return committed.Secrets
	}
	v.add(v.addition("admin", 1, "root"))
	v.add(v.addition("admin", 2, "root2"))
	for version := 1; version <= 3; version++ {
		v.add(v.addition("db", version, "hush"))
		kept := commitWith(version, version, 2)
		want := []fleet.SecretRef{{Name: "admin", Version: 1}, {Name: "admin", Version: 2}}
		for i := max(1, version-1); i <= version; i++ {
			want = append(want, fleet.SecretRef{Name: "db", Version: i})
		}
		require.Equal(t, want, kept, "the last two releases name them")
	}
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, 3, release.Secrets["db"].Newest)
	require.Len(t, release.Secrets["db"].Versions, 2)
	third := release.Secrets["db"].Versions[3]
	require.Equal(t, fleet.KeptVersion{Nodes: []string{"rift"}, Signer: v.by.Signer().String(), Size: third.Size}, third)
	api, _ := release.Definition.Component("api")
	require.Equal(t, servicedef.SecretVersions{"db": {Name: "db", Version: 3}}, api.Versions)

	recorded := listed(t, store, "shop")
	for _, v := range recorded[1].Versions {
		require.Equal(t, []int{v.Version}, v.Releases, "the release that names version %d of db", v.Version)
	}
	snapshot, err := store.Snapshot(t.Context(), "shop", 2)
	require.NoError(t, err)
	require.Equal(t, 2, snapshot.Definition.Components[0].Versions["db"].Version, "a rollback brings the version of its release back")

	require.Equal(t, []fleet.SecretRef{{Name: "admin", Version: 1}, {Name: "admin", Version: 2}, {Name: "db", Version: 2}, {Name: "db", Version: 3}},
		commitWith(4, 2, 2), "the newest stays, whoever names it")

	v.claim("rift", nodeKey(t))
	release, err = store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Empty(t, release.Secrets["db"].Versions[3].Nodes, "the node has another key now")
}

// claim gives a node a key.
func (v vault) claim(node string, key seal.Key) {
	v.t.Helper()
	_, err := v.store.ClaimNode(v.t.Context(), fleet.Claim{Node: node, Machine: fleet.Machine{ID: node}, Key: key.String(), Silent: &fleet.Machine{}}, nil, watch.Judge)
	require.NoError(v.t, err)
}
