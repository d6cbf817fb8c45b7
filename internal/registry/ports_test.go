package registry_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

func portRequest(service, component string, deployment int, candidates []int, routes ...string) fleet.PortRequest {
	r := fleet.PortRequest{Service: service, Component: component, Deployment: deployment, Node: "rift", Candidates: candidates}
	for _, name := range routes {
		r.Routes = append(r.Routes, fleet.Route{Name: name, Port: 8443, Mode: "l4"})
	}
	return r
}

func staticRequest(service, component string, deployment int, ports ...int) fleet.PortRequest {
	r := portRequest(service, component, deployment, nil)
	for _, port := range ports {
		r.Static = append(r.Static, servicedef.Port{Protocol: "tcp", Host: port})
	}
	return r
}

// allocate returns the host ports of the request's routes, in their order.
func allocate(t *testing.T, store *registry.Store, r fleet.PortRequest) (ports []int) {
	t.Helper()
	routes, err := store.AllocatePorts(t.Context(), r)
	require.NoError(t, err)
	require.Len(t, routes, len(r.Routes))
	for i, route := range routes {
		require.Equal(t, r.Routes[i].Name, route.Name)
		require.Equal(t, r.Routes[i].Mode, route.Mode)
		ports = append(ports, route.HostPort)
	}
	return ports
}

// portInUse is the fault of a request that must be refused.
func portInUse(t *testing.T, store *registry.Store, r fleet.PortRequest) *fault.Error {
	t.Helper()
	_, err := store.AllocatePorts(t.Context(), r)
	require.True(t, fault.Is(err, fault.PortInUse), "%v", err)
	return fault.Of(err)
}

func TestAllocatePortsForRoutes(t *testing.T) {
	t.Run("the first free candidates, and the same ones again", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api", "web")
		request := portRequest("shop", "api", 1, []int{20003, 20003, 20001, 20002}, "rest", "grpc")
		require.Equal(t, []int{20003, 20001}, allocate(t, store, request))
		request.Candidates = []int{30001, 30002}
		require.Equal(t, []int{20003, 20001}, allocate(t, store, request))
		require.Equal(t, []int{20002}, allocate(t, store, portRequest("shop", "web", 1, []int{20003, 20001, 20002}, "http")))
	})

	t.Run("another deployment gets other ports than the one that runs", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		require.Equal(t, []int{20001}, allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest")))
		commit(t, store, "shop", 1, member("shop", "api", 1, fleet.Route{Name: "rest", Port: 8443, Mode: "l4", HostPort: 20001}))
		finish(t, store, "shop", 1, "succeeded")
		require.Equal(t, []int{20001}, allocate(t, store, portRequest("shop", "api", 1, []int{20002}, "rest")), "asked again, late")
		begin(t, store, "shop", "api")
		require.Equal(t, []int{20002}, allocate(t, store, portRequest("shop", "api", 2, []int{20001, 20002}, "rest")))
	})

	t.Run("a port that the engine refused is set aside", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api", "web")
		request := portRequest("shop", "api", 1, []int{20001, 20002, 20003}, "rest", "grpc")
		require.Equal(t, []int{20001, 20002}, allocate(t, store, request))
		request.Taken = []int{20001}
		require.Equal(t, []int{20003, 20002}, allocate(t, store, request))
		require.Equal(t, []int{20003, 20002}, allocate(t, store, request), "asked twice")
		portInUse(t, store, portRequest("shop", "web", 1, []int{20001}, "http"))
	})

	t.Run("no candidate that was taken is handed out", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		request := portRequest("shop", "api", 1, []int{20001, 20002}, "rest")
		request.Taken = []int{20001}
		require.Equal(t, []int{20002}, allocate(t, store, request))
	})

	t.Run("too few candidates: the error names how many and where, and none is held", func(t *testing.T) {
		store, address := newStore(t)
		begin(t, store, "shop", "api")
		f := portInUse(t, store, portRequest("shop", "api", 1, []int{20001, 20002}, "a", "b", "c"))
		require.Contains(t, f.Message, "needs 3, and of 2 candidates 2 are free")
		require.Equal(t, "rift", f.Node)
		require.Zero(t, count(t, address, "select count(*) from component_routes"))
	})

	t.Run("a port that rests is handed out when its rest is over", func(t *testing.T) {
		store, address := newStore(t)
		begin(t, store, "shop", "api")
		begin(t, store, "blog", "web")
		allocate(t, store, portRequest("shop", "api", 1, []int{20001}, "rest"))
		for range 2 {
			require.NoError(t, store.ReleasePorts(t.Context(), "shop", time.Hour))
		}
		wanted := portRequest("blog", "web", 1, []int{20001}, "http")
		portInUse(t, store, wanted)
		exec(t, address, "update component_routes set rests_until = now() - interval '1 second'")
		require.Equal(t, []int{20001}, allocate(t, store, wanted))
	})

	t.Run("an unknown deployment is a Conflict", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		_, err := store.AllocatePorts(t.Context(), portRequest("shop", "api", 9, []int{20001}, "rest"))
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	})
}

// A port of a route is one in both protocols, because nodes try them in both.
func TestARouteOfUDPHasAPortOfUDP(t *testing.T) {
	store, address := newStore(t)
	begin(t, store, "shop", "api", "web")
	request := portRequest("shop", "api", 1, []int{20001, 20002}, "log")
	request.Routes[0].Protocol = "udp"
	require.Equal(t, []int{20001}, allocate(t, store, request))
	require.Equal(t, []int{20001}, allocate(t, store, request), "again")
	require.Equal(t, 1, count(t, address, "select count(*) from component_routes where protocol = 'udp' and host_port = 20001"))
	require.Equal(t, []int{20002}, allocate(t, store, portRequest("shop", "web", 1, []int{20001, 20002}, "http")))

	log := fleet.Route{Name: "log", Port: 8443, Mode: "l4", Protocol: "udp", HostPort: 20001}
	http := fleet.Route{Name: "http", Port: 8443, Mode: "l4", HostPort: 20002}
	commit(t, store, "shop", 1, member("shop", "api", 1, log), member("shop", "web", 1, http))
	release, err := store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, []fleet.Route{log}, release.Components["api"].Routes)
	require.Equal(t, []fleet.Route{http}, release.Components["web"].Routes)

	finish(t, store, "shop", 1, "succeeded")
	begin(t, store, "shop", "api", "web")
	again := portRequest("shop", "api", 2, []int{20001, 20003}, "log")
	again.Routes[0].Protocol, again.Taken = "udp", []int{20003}
	require.NotNil(t, portInUse(t, store, again), "one is held, the other was refused")
	again.Candidates, again.Taken = []int{20004}, nil
	require.Equal(t, []int{20004}, allocate(t, store, again))
	again.Candidates, again.Taken = []int{20005}, []int{20004}
	require.Equal(t, []int{20005}, allocate(t, store, again), "the one that the engine refused rests")
}

func TestAllocatePortsAtOnce(t *testing.T) {
	const workers, each, routes, low, high = 50, 10, 4, 20000, 22499
	store, address := newStore(t)
	for w := range workers {
		begin(t, store, fmt.Sprint("shop", w), "api")
	}
	var errs [workers]error
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				candidates := rand.Perm(high - low + 1)
				for n := range candidates {
					candidates[n] += low
				}
				_, err := store.AllocatePorts(t.Context(), portRequest(fmt.Sprint("shop", w), fmt.Sprint("c", i), 1, candidates, "a", "b", "c", "d"))
				if err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, workers*each*routes, count(t, address, fmt.Sprintf(
		"select count(distinct host_port) from component_routes where node = 'rift' and protocol = 'tcp' and host_port between %d and %d", low, high)))
	require.Equal(t, workers*each*routes, count(t, address, "select count(*) from component_routes"))
}

func TestAllocateStaticPorts(t *testing.T) {
	t.Run("another service's port is refused, and its holder named", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		begin(t, store, "blog", "web")
		for range 2 {
			allocate(t, store, staticRequest("shop", "api", 1, 8080))
		}
		f := portInUse(t, store, staticRequest("blog", "web", 1, 8080))
		require.Contains(t, f.Message, "held by shop/api")
		require.Equal(t, []any{8080, "rift", "web"}, []any{f.Port, f.Node, f.Component})
	})

	t.Run("udp and tcp are two ports, and so are those of two nodes", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		begin(t, store, "blog", "web")
		record(t, store, fleet.NodeRecord{Name: "orion"})
		allocate(t, store, staticRequest("shop", "api", 1, 53))
		udp, elsewhere := staticRequest("blog", "web", 1, 53), staticRequest("blog", "web", 1, 53)
		udp.Static[0].Protocol = "udp"
		elsewhere.Node = "orion"
		allocate(t, store, udp)
		allocate(t, store, elsewhere)
	})

	t.Run("a route gets no static port, and a static port none of a route", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api", "web")
		allocate(t, store, staticRequest("shop", "api", 1, 20001))
		require.Equal(t, []int{20002}, allocate(t, store, portRequest("shop", "web", 1, []int{20001, 20002}, "http")))
		f := portInUse(t, store, staticRequest("shop", "api", 1, 20002))
		require.Contains(t, f.Message, "held by shop/web, route http")
	})

	t.Run("one that rests can be had", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		begin(t, store, "blog", "web")
		allocate(t, store, staticRequest("shop", "api", 1, 8080))
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", time.Hour))
		allocate(t, store, staticRequest("blog", "web", 1, 8080))
		portInUse(t, store, staticRequest("shop", "api", 1, 8080))
	})

	t.Run("a failed deployment gives the predecessor's port back, and drops its own", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		allocate(t, store, staticRequest("shop", "api", 1, 8080))
		commit(t, store, "shop", 1, member("shop", "api", 1))
		finish(t, store, "shop", 1, "succeeded")

		begin(t, store, "shop", "api")
		allocate(t, store, staticRequest("shop", "api", 2, 8080, 9090))
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
		finish(t, store, "shop", 2, "failed")

		// A third that leaves the component alone must not lose the port either.
		begin(t, store, "shop", "api")
		commit(t, store, "shop", 3, member("shop", "api", 1))
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))

		begin(t, store, "blog", "web")
		portInUse(t, store, staticRequest("blog", "web", 1, 8080))
		allocate(t, store, staticRequest("blog", "web", 1, 9090))
	})

	t.Run("an outcome sets it to rest if ReleasePorts is set", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		begin(t, store, "blog", "web")
		allocate(t, store, staticRequest("shop", "api", 1, 8080))
		finish(t, store, "shop", 1, "failed")
		portInUse(t, store, staticRequest("blog", "web", 1, 8080))
		begin(t, store, "shop", "api")
		outcome := fleet.FinishRequest{Service: "shop", Deployment: 2, Outcome: "failed", ReleasePorts: true}
		require.NoError(t, store.FinishDeployment(t.Context(), outcome))
		require.NoError(t, store.FinishDeployment(t.Context(), outcome), "it may run twice")
		allocate(t, store, staticRequest("blog", "web", 1, 8080))
	})

	t.Run("a release without the port gives it up only when it is released", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api")
		allocate(t, store, staticRequest("shop", "api", 1, 8080))
		commit(t, store, "shop", 1, member("shop", "api", 1))
		finish(t, store, "shop", 1, "succeeded")
		begin(t, store, "shop", "api")
		allocate(t, store, staticRequest("shop", "api", 2, 9090))
		commit(t, store, "shop", 2, member("shop", "api", 2))

		begin(t, store, "blog", "web")
		portAwaited(t, store, staticRequest("blog", "web", 1, 8080))
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
		allocate(t, store, staticRequest("blog", "web", 1, 8080))
		portInUse(t, store, staticRequest("blog", "web", 1, 9090))
	})

	t.Run("one that a sibling gives up moves when it is released, and not before", func(t *testing.T) {
		store, address := newStore(t)
		holder := func() string {
			return value[string](t, address, "select component || ' ' || deployment || ' ' || committed from component_routes where host_port = 8080")
		}
		begin(t, store, "shop", "db")
		allocate(t, store, staticRequest("shop", "db", 1, 8080))
		commit(t, store, "shop", 1, member("shop", "db", 1))
		finish(t, store, "shop", 1, "succeeded")

		begin(t, store, "shop", "database")
		request := staticRequest("shop", "database", 2, 8080)
		portInUse(t, store, request)
		request.Giving = []string{"db"}
		for range 2 {
			allocate(t, store, request)
		}
		require.Equal(t, "db 1 true", holder())
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
		finish(t, store, "shop", 2, "failed")
		require.Equal(t, "db 1 true", holder(), "nothing has to be given back")

		begin(t, store, "shop", "database")
		request.Deployment = 3
		allocate(t, store, request)
		for range 2 {
			_, err := store.CommitRelease(t.Context(), fleet.CommitRequest{
				Service: "shop", Deployment: 3, Active: true, Members: []fleet.Member{member("shop", "database", 3)},
				Static: []fleet.StaticPort{{HostPort: fleet.HostPort{Node: "rift", Protocol: "tcp", Port: 8080}, Component: "database"}},
			}, noRoutes)
			require.NoError(t, err)
		}
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
		finish(t, store, "shop", 3, "succeeded")
		require.Equal(t, "database 3 true", holder())
		begin(t, store, "blog", "web")
		portInUse(t, store, staticRequest("blog", "web", 1, 8080))
	})

	t.Run("two are exchanged in one commit", func(t *testing.T) {
		store, address := newStore(t)
		begin(t, store, "shop", "blue", "green")
		allocate(t, store, staticRequest("shop", "blue", 1, 8081))
		allocate(t, store, staticRequest("shop", "green", 1, 8082))
		commit(t, store, "shop", 1, member("shop", "blue", 1), member("shop", "green", 1))
		finish(t, store, "shop", 1, "succeeded")

		begin(t, store, "shop", "blue", "green")
		blue, green := staticRequest("shop", "blue", 2, 8082), staticRequest("shop", "green", 2, 8081)
		blue.Giving, green.Giving = []string{"blue", "green"}, []string{"blue", "green"}
		allocate(t, store, blue)
		allocate(t, store, green)
		_, err := store.CommitRelease(t.Context(), fleet.CommitRequest{
			Service: "shop", Deployment: 2, Active: true, Members: []fleet.Member{member("shop", "blue", 2), member("shop", "green", 2)},
			Static: []fleet.StaticPort{
				{HostPort: fleet.HostPort{Node: "rift", Protocol: "tcp", Port: 8082}, Component: "blue"},
				{HostPort: fleet.HostPort{Node: "rift", Protocol: "tcp", Port: 8081}, Component: "green"},
			},
		}, noRoutes)
		require.NoError(t, err)
		require.NoError(t, store.ReleasePorts(t.Context(), "shop", 0))
		require.Equal(t, "8081 green true, 8082 blue true", value[string](t, address,
			"select string_agg(host_port || ' ' || component || ' ' || committed, ', ' order by host_port) from component_routes"))
	})

	t.Run("one that a deployment which did not end has asked for can be had", func(t *testing.T) {
		store, _ := newStore(t)
		begin(t, store, "shop", "api", "web")
		allocate(t, store, staticRequest("shop", "api", 1, 8080))
		portInUse(t, store, staticRequest("shop", "web", 1, 8080))
		finish(t, store, "shop", 1, "failed")
		begin(t, store, "shop", "api", "web")
		allocate(t, store, staticRequest("shop", "web", 2, 8080))
	})
}

func TestPortHoldersAreThoseThatARequestWouldMeet(t *testing.T) {
	store, _ := newStore(t)
	at := func(port int) fleet.HostPort { return fleet.HostPort{Node: "rift", Protocol: "tcp", Port: port} }
	holders := func() (names []string) {
		held, err := store.PortHolders(t.Context(), []fleet.HostPort{at(8080), at(20001), at(9999), {Node: "rift", Protocol: "udp", Port: 8080}})
		require.NoError(t, err)
		for _, h := range held {
			names = append(names, fmt.Sprint(h.Port, " ", h, " ", h.Committed))
		}
		return names
	}
	require.Empty(t, holders())
	begin(t, store, "shop", "api")
	request := staticRequest("shop", "api", 1, 8080)
	request.Routes, request.Candidates = portRequest("", "", 0, nil, "rest").Routes, []int{20001}
	allocate(t, store, request)
	require.Equal(t, []string{"8080 shop/api false", "20001 shop/api, route rest false"}, holders())
	commit(t, store, "shop", 1, member("shop", "api", 1, fleet.Route{Name: "rest", Port: 8443, Mode: "l4", HostPort: 20001}))
	finish(t, store, "shop", 1, "succeeded")
	require.Equal(t, []string{"8080 shop/api true", "20001 shop/api, route rest true"}, holders())

	begin(t, store, "shop", "api")
	commit(t, store, "shop", 2, member("shop", "api", 2))
	require.Empty(t, holders(), "the old container is about to go")
	finish(t, store, "shop", 2, "succeeded", "retire on rift")
	require.Len(t, holders(), 2, "it has not gone")
	require.NoError(t, store.ReleasePorts(t.Context(), "shop", time.Hour))
	require.Empty(t, holders(), "it rests")
}

// portAwaited requires that a request is to be made again.
func portAwaited(t *testing.T, store *registry.Store, r fleet.PortRequest) {
	t.Helper()
	_, err := store.AllocatePorts(t.Context(), r)
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
}
