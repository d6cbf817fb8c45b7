package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

func TestAnEndpointHasOneHolder(t *testing.T) {
	f := newFronted(t)
	refused := func(d servicedef.Service) {
		t.Helper()
		_, err := f.store.BeginDeployment(t.Context(), claiming(d))
		conflict(t, err, "shop.example:443, which blog asks for, is held by service shop", "mcp status shop", "undeploy shop")
	}
	b := f.begin(routed("shop", "shop.example"))
	refused(routed("blog", "shop.example")) // before anything of it is released
	require.Zero(t, count(t, f.address, "select count(*) from services where name = 'blog'"), "nothing is left of it")
	b.commit(20001)
	refused(routed("blog", "shop.example"))
	b.finish("succeeded")
	refused(routed("blog", "shop.example"))

	// TLS that reaches a container as it is would take the same connections.
	pass := servicedef.Route{Name: "tls", Port: 443, Mode: "l4", Hostname: servicedef.Hostnames{"shop.example"}}
	other := routed("blog", "blog.example")
	other.Components[0].Routes = append(other.Components[0].Routes, pass)
	refused(other)
	other.Components[0].Routes[1].Port = 8443

	// One that differs in path, hostname or port is another.
	other.Components[0].Routes[0].Hostname = servicedef.Hostnames{"shop.example"}
	other.Components[0].Routes[0].Path = "/blog"
	wild := servicedef.Route{Name: "all", Port: 443, Mode: "l7", Hostname: servicedef.Hostnames{"*.example"}}
	plain := servicedef.Route{Name: "plain", Port: 80, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example"}}
	datagrams := servicedef.Route{Name: "log", Port: 8443, Mode: "l4", Protocol: "udp", Edge: true}
	other.Components[0].Routes = append(other.Components[0].Routes, wild, plain, datagrams)
	f.begin(other)

	// It is free once the release does without.
	require.Equal(t, map[string]string{"shop.example": "shop"}, f.holders("shop.example", "new.example"))
	f.release(routed("shop", "new.example"), 20002)
	require.Equal(t, map[string]string{"new.example": "shop"}, f.holders("shop.example", "new.example"))
	f.undeploy("shop")
	require.Empty(t, f.holders("shop.example", "new.example"))
}

func TestADeploymentThatDoesNotSucceedFreesWhatItHasClaimed(t *testing.T) {
	f := newFronted(t)
	f.release(routed("shop", "shop.example"), 20001)
	both := routed("shop", "shop.example")
	both.Components[0].Routes[0].Hostname = servicedef.Hostnames{"shop.example", "new.example"}
	ended := map[string]func(*underWay){
		"failed": func(b *underWay) { b.finish("failed") },
		"lost": func(b *underWay) {
			require.NoError(t, f.store.CloseLost(t.Context(), fleet.OpenRun{Service: "shop", RunID: b.run}))
		},
		"followed": func(*underWay) { f.begin(routed("shop", "shop.example")).finish("unchanged") },
	}
	for name, end := range ended {
		t.Run(name, func(t *testing.T) {
			b := f.begin(both)
			require.Equal(t, map[string]string{"shop.example": "shop", "new.example": "shop"}, f.holders("shop.example", "new.example"))
			end(b)
			require.Equal(t, map[string]string{"shop.example": "shop"}, f.holders("shop.example", "new.example"))
		})
	}
	// Its own release still keeps the endpoint, although a deployment that failed asked
	// for it last.
	b := f.begin(routed("shop", "shop.example"))
	b.commit(20003)
	require.Equal(t, map[string]string{"shop.example": "shop"}, f.holders("shop.example", "new.example"))
}

func TestARepeatedOpeningKeepsItsClaims(t *testing.T) {
	f := newFronted(t)
	r := claiming(routed("shop", "shop.example"))
	for range 2 {
		_, err := f.store.BeginDeployment(t.Context(), r)
		require.NoError(t, err)
	}
	number, err := f.store.Renumber(t.Context(), fleet.RenumberRequest{Service: "shop", RunID: r.RunID, Floor: 41})
	require.NoError(t, err)
	b := &underWay{f, r.Definition, number, r.RunID, false, nil}
	b.commit(20001)
	require.Equal(t, map[string]string{"shop.example": "shop"}, f.holders("shop.example"))
}

// An adoption corrects the definition that it was begun with.
func TestACommitWithAnotherDefinitionHasTheClaimsOfThat(t *testing.T) {
	f := newFronted(t)
	f.release(routed("blog", "blog.example"), 20009)
	b := f.begin(routed("shop", "asked.example"))
	found := routed("shop", "found.example")
	request := fleet.CommitRequest{
		Service: "shop", Deployment: b.number, Run: b.run, Active: true, Members: []fleet.Member{member("shop", "web", b.number)},
		Definition: &found, Claims: []fleet.Endpoint{site("blog.example")},
	}
	_, err := f.store.CommitRelease(t.Context(), request, noRoutes)
	conflict(t, err, "held by service blog")
	request.Claims = []fleet.Endpoint{site("found.example")}
	_, err = f.store.CommitRelease(t.Context(), request, noRoutes)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"found.example": "shop"}, f.holders("asked.example", "found.example"))
}

// Both transactions wait for a third, which holds the endpoint and then lets it go.
func TestOfTwoDeploymentsAtOnceOneGetsTheEndpoint(t *testing.T) {
	f := newFronted(t)
	for range 5 {
		third, err := pgx.Connect(t.Context(), f.address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = third.Close(context.Background()) })
		tx, err := third.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `
			insert into services (name) values ('third');
			insert into edge_claims (port, protocol, hostname, path, service, run) values (443, 'http', 'shop.example', '', 'third', 'third')`)
		require.NoError(t, err)

		errs := make([]error, 2)
		var all errgroup.Group
		for i, name := range []string{"shop", "blog"} {
			all.Go(func() error {
				errs[i] = f.open(claiming(routed(name, "shop.example")))
				return nil
			})
		}
		require.Eventually(t, func() bool {
			return count(t, f.address, `
				select count(*) from pg_stat_activity
				where wait_event_type = 'Lock' and query like '%edge_claims%' and datname = current_database()`) == 2
		}, time.Minute, 10*time.Millisecond)
		require.NoError(t, tx.Rollback(t.Context()))
		require.NoError(t, all.Wait())

		won, lost := errs[0], errs[1]
		if won != nil {
			won, lost = lost, won
		}
		require.NoError(t, won)
		conflict(t, lost, "shop.example:443")
		exec(t, f.address, "update deployments set outcome = 'failed', finished_at = now(); delete from edge_claims")
	}
}

// open opens a deployment as a workflow does: again where a lock was not had in time.
func (f *fronted) open(r fleet.BeginRequest) error {
	for {
		if _, err := f.store.BeginDeployment(f.t.Context(), r); !fault.Is(err, fault.Unavailable) {
			return err
		}
	}
}

// Two deployments that ask for the same endpoints in different orders do not wait for
// each other.
func TestManyDeploymentsAtOnceClaimInOneOrder(t *testing.T) {
	f := newFronted(t)
	hostnames := servicedef.Hostnames{"a.example", "b.example", "c.example", "d.example"}
	reversed := servicedef.Hostnames{"d.example", "c.example", "b.example", "a.example"}
	names := []string{"one", "two", "three", "four", "five", "six", "seven", "eight"}
	errs := make([]error, len(names))
	var all errgroup.Group
	for i, name := range names {
		d := routed(name, "")
		d.Components[0].Routes[0].Hostname = hostnames
		if i%2 == 1 {
			d.Components[0].Routes[0].Hostname = reversed
		}
		r := claiming(d)
		if i%2 == 1 {
			for left, right := 0, len(r.Claims)-1; left < right; left, right = left+1, right-1 {
				r.Claims[left], r.Claims[right] = r.Claims[right], r.Claims[left]
			}
		}
		all.Go(func() error {
			errs[i] = f.open(r)
			return nil
		})
	}
	require.NoError(t, all.Wait())
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.True(t, fault.Is(err, fault.Conflict), "%s: %v", names[i], err)
	}
	require.Equal(t, 1, won)
}
