package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

func TestCommitRelease(t *testing.T) {
	rest := func(port int) fleet.Route {
		return fleet.Route{Name: "rest", Port: 8443, Mode: "l7", Hostname: "shop.example", HostPort: port}
	}

	t.Run("what was committed is what is read, and twice is once", func(t *testing.T) {
		store, address := newStore(t)
		record(t, store, fleet.NodeRecord{Name: "rift"})
		begin(t, store, "shop", "api", "web")
		allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest"))
		api := member("shop", "api", 1, rest(20001))
		api.Address = "10.0.0.9"
		for range 2 {
			commit(t, store, "shop", 1, api, member("shop", "web", 1))
		}
		finish(t, store, "shop", 1, "succeeded")
		commit(t, store, "shop", 1) // a late repetition changes nothing

		wanted := definition("shop", "api", "web")
		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, fleet.Release{
			Service: "shop", Number: 1, Newest: 1, NewestRun: runOf("shop", 1), Active: true, Touched: []string{"rift"}, Definition: &wanted,
			Components: map[string]fleet.Member{
				"api": api,
				"web": member("shop", "web", 1),
			},
		}, release)
		require.Equal(t, 1, count(t, address, `select count(*) from deployments where digests->>'api:v1' like 'sha256:a%'`))
	})

	t.Run("a component that is no member is dropped, and its port rests after the retiring", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api", "web")
		allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest"))
		commit(t, store, "shop", 1, member("shop", "api", 1, rest(20001)), member("shop", "web", 1))
		finish(t, store, "shop", 1, "succeeded")
		begin(t, store, "shop", "web")
		commit(t, store, "shop", 2, member("shop", "web", 1))

		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, map[string]fleet.Member{"web": member("shop", "web", 1)}, release.Components)
		begin(t, store, "blog", "web")
		portInUse(t, store, portRequest("blog", "web", 1, []int{20001}, "http"))
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
		require.Equal(t, []int{20001}, allocate(t, store, portRequest("blog", "web", 1, []int{20001}, "http")))
	})

	t.Run("a component that was left alone keeps its port, with the news of its route", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest"))
		commit(t, store, "shop", 1, member("shop", "api", 1, rest(20001)))
		finish(t, store, "shop", 1, "succeeded")
		begin(t, store, "shop", "api")
		renamed := rest(20001)
		renamed.Hostname = "store.example"
		commit(t, store, "shop", 2, member("shop", "api", 1, renamed))
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))

		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, []fleet.Route{renamed}, release.Components["api"].Routes)
	})

	t.Run("a port that a late release set to rest is the release's all the same", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		request := staticRequest("shop", "api", 1, 8080)
		request.Routes, request.Candidates = portRequest("", "", 0, nil, "rest").Routes, []int{20001}
		allocate(t, store, request)
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", time.Hour))
		commit(t, store, "shop", 1, member("shop", "api", 1, rest(20001)))

		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, []fleet.Route{rest(20001)}, release.Components["api"].Routes)
		begin(t, store, "blog", "web")
		portInUse(t, store, staticRequest("blog", "web", 1, 8080))
	})

	t.Run("a failed commit does not change the release", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest"))
		commit(t, store, "shop", 1, member("shop", "api", 1, rest(20001)))
		finish(t, store, "shop", 1, "succeeded")
		before, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)

		begin(t, store, "shop", "web")
		wrong := member("shop", "web", 2, fleet.Route{Name: "http", HostPort: 70000})
		_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{Service: "shop", Deployment: 2, Members: []fleet.Member{wrong}}, noRoutes)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		after, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		before.Newest, before.NewestRun = 2, runOf("shop", 2)
		require.Equal(t, before, after)
	})
}

func TestReleaseOfAnUnknownService(t *testing.T) {
	store, _ := newStore(t)
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, fleet.Release{Service: "shop"}, release)
}

func TestServices(t *testing.T) {
	store, _ := newStore(t)
	for _, name := range []string{"shop", "blog"} {
		begin(t, store, name, "web")
		commit(t, store, name, 1, member(name, "web", 1))
		finish(t, store, name, 1, "succeeded")
	}
	begin(t, store, "shop", "web")

	for _, test := range []struct {
		names     []string
		found     []string
		deploying []int
	}{
		{nil, []string{"blog", "shop"}, []int{0, 2}},
		{[]string{"shop"}, []string{"shop"}, []int{2}},
		{[]string{"unknown", "blog"}, []string{"blog"}, []int{0}},
		{[]string{"unknown"}, nil, nil},
	} {
		records, err := store.Services(t.Context(), test.names)
		require.NoError(t, err)
		var found []string
		var deploying []int
		for _, r := range records {
			found, deploying = append(found, r.Release.Service), append(deploying, r.Deploying)
			require.Equal(t, member(r.Release.Service, "web", 1), r.Release.Components["web"])
		}
		require.Equal(t, test.found, found)
		require.Equal(t, test.deploying, deploying)
	}
}
