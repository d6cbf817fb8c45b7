package registry_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

func TestBeginDeployment(t *testing.T) {
	t.Run("one run has one number, however often it begins", func(t *testing.T) {
		store, _ := newStore(t)
		record(t, store, fleet.NodeRecord{Name: "rift"})
		request := beginRequest(definition("shop", "api"))
		first, err := store.BeginDeployment(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, fleet.BeginResult{Number: 1, Release: fleet.Release{Service: "shop", Newest: 1, NewestRun: request.RunID, Touched: []string{"rift"}}}, first)

		second, err := store.BeginDeployment(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.Equal(t, 2, begin(t, store, "shop", "api").Number)
		require.Equal(t, 1, begin(t, store, "blog", "web").Number, "each service counts for itself")
	})

	t.Run("twenty runs at once get the numbers from 1 to 20, and one that begins twenty times gets one", func(t *testing.T) {
		_, address := newStore(t)
		store := openStore(t, address+"&pool_max_conns=20")
		numbers := twentyTimes(t, func() (fleet.BeginResult, error) {
			return store.BeginDeployment(t.Context(), beginRequest(definition("shop", "api")))
		})
		slices.Sort(numbers)
		for i, number := range numbers {
			require.Equal(t, i+1, number)
		}
		request := beginRequest(definition("shop", "api"))
		numbers = twentyTimes(t, func() (fleet.BeginResult, error) { return store.BeginDeployment(t.Context(), request) })
		require.Equal(t, []int{21}, slices.Compact(numbers))
	})

	t.Run("a deployment whose run has ended is lost", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		begin(t, store, "blog", "web")
		open, err := store.OpenRuns(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"blog", "shop"}, []string{open[0].Service, open[1].Service})
		require.NoError(t, store.CloseLost(t.Context(), open[1]))
		services, err := store.Services(t.Context(), nil)
		require.NoError(t, err)
		blog, shop := services[0], services[1]
		require.Equal(t, []int{1, 0, 0, 1}, []int{blog.Deploying, blog.Lost, shop.Deploying, shop.Lost})
		require.True(t, shop.Release.Dirty, "it may have left containers")
		deployments, err := store.Deployments(t.Context(), "shop", 0)
		require.NoError(t, err)
		require.Equal(t, "lost", deployments[0].Outcome)
		require.Contains(t, deployments[0].ErrorMessage, "nothing has been put back")

		begin(t, store, "shop", "api")
		require.NoError(t, store.CloseLost(t.Context(), open[1]), "late")
		services, err = store.Services(t.Context(), []string{"shop"})
		require.NoError(t, err)
		require.Equal(t, []int{2, 0}, []int{services[0].Deploying, services[0].Lost})
	})
	t.Run("a deployment that never ended is lost, and its ports rest", func(t *testing.T) {
		store, address := newStore(t)
		begin(t, store, "shop", "api")
		_, err := store.AllocatePorts(t.Context(), portRequest("shop", "api", 1, []int{20001}, "rest"))
		require.NoError(t, err)
		begin(t, store, "shop", "api")

		deployments, err := store.Deployments(t.Context(), "shop", 0)
		require.NoError(t, err)
		require.Equal(t, []string{"", "lost"}, []string{deployments[0].Outcome, deployments[1].Outcome})
		require.Equal(t, 1, count(t, address, "select count(*) from component_routes where rests_until > now()"))

		_, err = store.AllocatePorts(t.Context(), portRequest("shop", "api", 1, []int{20002}, "rest"))
		require.True(t, fault.Is(err, fault.Conflict), "a late call of the lost one: %v", err)
		_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{Service: "shop", Deployment: 1}, noRoutes)
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
		finish(t, store, "shop", 1, "failed", "something")
		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.True(t, release.Dirty, "the lost one may have left containers")
		finish(t, store, "shop", 2, "succeeded")
		release, err = store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.False(t, release.Dirty)
	})
}

// twentyTimes opens deployments at once and returns their numbers.
func twentyTimes(t *testing.T, open func() (fleet.BeginResult, error)) []int {
	t.Helper()
	var numbers [20]int
	var errs [20]error
	var group sync.WaitGroup
	for i := range numbers {
		group.Go(func() {
			result, err := open()
			numbers[i], errs[i] = result.Number, err
		})
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	return numbers[:]
}

func TestFinishDeployment(t *testing.T) {
	t.Run("the service is dirty while something is left undone", func(t *testing.T) {
		store, _ := newStore(t)
		for _, step := range []struct {
			outcome string
			undone  []string
			dirty   bool
		}{
			{"failed", []string{"on rift start shop-api"}, true},
			{"failed", nil, false},
			{"succeeded", []string{"retire on rift"}, true},
			{"unchanged", nil, false},
		} {
			number := begin(t, store, "shop", "api").Number
			for range 2 {
				finish(t, store, "shop", number, step.outcome, step.undone...)
			}
			release, err := store.Release(t.Context(), "shop")
			require.NoError(t, err)
			require.Equal(t, step.dirty, release.Dirty, "%+v", step)
		}
	})

	t.Run("the first outcome stands", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		finish(t, store, "shop", 1, "succeeded")
		finish(t, store, "shop", 1, "failed", "everything")
		deployments, err := store.Deployments(t.Context(), "shop", 1)
		require.NoError(t, err)
		require.Equal(t, "succeeded", deployments[0].Outcome)
	})

	t.Run("an unknown deployment is a Conflict, a strange outcome Invalid", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		err := store.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: 7, Outcome: "failed"})
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
		err = store.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: 1, Outcome: "tired"})
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	})
}

func TestDeployments(t *testing.T) {
	store, _ := newStore(t)
	request := beginRequest(definition("shop", "api"))
	_, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
		Service: "shop", Deployment: 1, Outcome: "failed",
		ErrorKind: "Unhealthy", ErrorMessage: "api exited", ErrorLog: []string{"no such \x1b table"}, Undone: []string{"on rift remove shop-api.next"},
	}))
	begin(t, store, "shop", "api")
	begin(t, store, "blog", "web")

	all, err := store.Deployments(t.Context(), "shop", 0)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, 2, all[0].Number, "the newest comes first")
	require.True(t, all[0].Finished.IsZero())

	failed := all[1]
	require.WithinDuration(t, time.Now(), failed.Started, time.Minute)
	require.WithinDuration(t, time.Now(), failed.Finished, time.Minute)
	failed.Started, failed.Finished = time.Time{}, time.Time{}
	require.Equal(t, fleet.DeploymentRecord{
		Service: "shop", Number: 1, Verb: "deploy", Outcome: "failed",
		ErrorKind: "Unhealthy", ErrorMessage: "api exited", ErrorLog: []string{"no such \x1b table"}, Undone: []string{"on rift remove shop-api.next"},
		Who: "operator", From: "laptop", WorkflowID: "deploy/shop", RunID: request.RunID, Active: true,
	}, failed)

	newest, err := store.Deployments(t.Context(), "shop", 1)
	require.NoError(t, err)
	require.Equal(t, all[:1], newest)
}

func TestMarkMendedIsOverruledByANewerDeployment(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api")
	finish(t, store, "shop", 1, "failed", "on rift start shop-api")
	begin(t, store, "shop", "api")
	finish(t, store, "shop", 2, "failed", "on rift start shop-api")
	for _, step := range []struct {
		mended int
		dirty  bool
	}{{1, true}, {2, false}} {
		require.NoError(t, store.MarkMended(t.Context(), "shop", step.mended, ""))
		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, step.dirty, release.Dirty, "deployment %d is mended", step.mended)
	}
}

func TestSnapshotIsOfAReleaseOnly(t *testing.T) {
	store, _ := newStore(t)
	begin(t, store, "shop", "api", "web")
	commit(t, store, "shop", 1, member("shop", "api", 1), member("shop", "web", 1))
	finish(t, store, "shop", 1, "succeeded")
	begin(t, store, "shop", "api")
	finish(t, store, "shop", 2, "failed")

	snapshot, err := store.Snapshot(t.Context(), "shop", 1)
	require.NoError(t, err)
	require.Equal(t, 1, snapshot.Number)
	require.Equal(t, definition("shop", "api", "web"), snapshot.Definition)
	require.Equal(t, member("shop", "api", 1).Digest, snapshot.Digests["api:v1"])
	_, err = store.Snapshot(t.Context(), "shop", 2)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	_, err = store.Snapshot(t.Context(), "shop", 3)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestRenumberPassesWhatANodeHasSeen(t *testing.T) {
	store, _ := newStore(t)
	request := beginRequest(definition("shop", "api"))
	_, err := store.BeginDeployment(t.Context(), request)
	require.NoError(t, err)
	for _, floor := range []int{57, 57, 20} { // twice is once, and a lower floor is passed already
		number, err := store.Renumber(t.Context(), fleet.RenumberRequest{Service: "shop", RunID: request.RunID, Floor: floor})
		require.NoError(t, err)
		require.Equal(t, 58, number)
	}
	commit(t, store, "shop", 58, member("shop", "api", 58))
	finish(t, store, "shop", 58, "succeeded")
	require.Equal(t, 59, begin(t, store, "shop", "api").Number)
	_, err = store.Renumber(t.Context(), fleet.RenumberRequest{Service: "shop", RunID: "none", Floor: 1})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestNodesStayTouchedUntilADeploymentEndsClean(t *testing.T) {
	store, _ := newStore(t)
	for _, node := range []string{"rift", "orion", "vega"} {
		record(t, store, fleet.NodeRecord{Name: node})
	}
	on := func(node string) fleet.BeginRequest {
		d := definition("shop", "api")
		d.Components[0].Node = node
		return beginRequest(d)
	}
	for _, step := range []struct {
		node, outcome string
		undone        []string
		touched       []string // when the deployment begins
	}{
		{"rift", "succeeded", nil, []string{"rift"}},
		{"orion", "failed", []string{"on orion remove shop-api.next"}, []string{"orion", "rift"}},
		{"rift", "failed", nil, []string{"orion", "rift"}},
		{"vega", "succeeded", nil, []string{"orion", "rift", "vega"}},
		{"vega", "unchanged", nil, []string{"vega"}},
	} {
		begun, err := store.BeginDeployment(t.Context(), on(step.node))
		require.NoError(t, err)
		require.Equal(t, step.touched, begun.Release.Touched, "deployment %d", begun.Number)
		finish(t, store, "shop", begun.Number, step.outcome, step.undone...)
	}
}

// A release that retires its predecessors has succeeded, and its deployment has not
// ended.
func TestAReleaseThatRetires(t *testing.T) {
	retiring := func(t *testing.T) *registry.Store {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		_, err := store.CommitRelease(t.Context(), fleet.CommitRequest{
			Service: "shop", Deployment: 1, Active: true, Succeeds: true, Members: []fleet.Member{member("shop", "api", 1)},
		}, noRoutes)
		require.NoError(t, err)
		return store
	}
	last := func(t *testing.T, store *registry.Store) fleet.DeploymentRecord {
		list, err := store.Deployments(t.Context(), "shop", 0)
		require.NoError(t, err)
		return list[len(list)-1]
	}
	t.Run("can be rolled back to, and is not under way", func(t *testing.T) {
		store := retiring(t)
		first := last(t, store)
		require.Equal(t, "succeeded", first.Outcome)
		require.True(t, first.Retiring)
		_, err := store.Snapshot(t.Context(), "shop", 1)
		require.NoError(t, err)
		services, err := store.Services(t.Context(), nil)
		require.NoError(t, err)
		require.Zero(t, services[0].Deploying)
		require.Equal(t, first.Finished, services[0].Release.Released)
		require.True(t, services[0].Release.Retiring)
		open, err := store.OpenRuns(t.Context())
		require.NoError(t, err)
		require.Len(t, open, 1, "its predecessors are no orphans")

		finish(t, store, "shop", 1, "succeeded")
		ended := last(t, store)
		first.Retiring = false
		require.Equal(t, first, ended, "the time after it does not count")
	})
	t.Run("has succeeded where it is lost, and left something", func(t *testing.T) {
		store := retiring(t)
		_, err := store.RecordNode(t.Context(), fleet.NodeRecord{Name: "rift", Seen: time.Now()})
		require.NoError(t, err)
		release := begin(t, store, "shop", "api").Release
		require.True(t, release.Dirty)
		require.Equal(t, []string{"rift"}, release.Touched)
		lost := last(t, store)
		require.Equal(t, "succeeded", lost.Outcome)
		require.False(t, lost.Retiring)
		require.Empty(t, lost.ErrorMessage)
		require.Equal(t, []string{"retire the former containers: its workflow was ended in Temporal"}, lost.Undone)
	})
	t.Run("has an event for what it could not retire", func(t *testing.T) {
		store := retiring(t)
		at := time.Now().Truncate(time.Millisecond)
		left := fleet.Event{At: at, Since: at, Node: "rift", Drift: fleet.Drift{
			Kind: fleet.EventNotRetired, Service: "shop", Detail: "shop-api.prev: podman does not answer",
		}}
		for range 2 {
			require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{
				Service: "shop", Deployment: 1, Outcome: "succeeded", Dirty: true, Undone: []string{"retire on rift"},
				Events: []fleet.Event{left}, Destinations: []string{"webhook"},
			}))
		}
		events, err := store.Events(t.Context(), fleet.EventQuery{Service: "shop"})
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, "node rift: shop: not-retired: shop-api.prev: podman does not answer", events[0].Line())
		alerts, err := store.Alerts(t.Context(), "webhook", 10)
		require.NoError(t, err)
		require.Len(t, alerts, 1)
	})
}
