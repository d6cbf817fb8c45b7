package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
)

func TestAnEdgeGetsNothingUntilItsKeyIsAdmitted(t *testing.T) {
	f := newFronted(t)
	_, err := f.store.AdmitEdge(t.Context(), fleet.EdgeAdmission{Edge: "berlin"})
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	answer, err := f.announce("berlin", nil)
	require.NoError(t, err)
	require.Equal(t, fleet.EdgeAnswer{}, answer)
	made := f.release(routed("shop", "shop.example"), 20001)
	require.Empty(t, made.Edges)
	require.NoError(t, f.store.RecordAcks(t.Context(), []fleet.EdgeAck{{Edge: "berlin", Service: "shop", Version: 1}}))
	require.NoError(t, f.store.RecordEdgeStatus(t.Context(), "berlin", fleet.EdgeStatus{Versions: map[string]int64{"shop": 1}}))
	missing, _, err := f.store.MissingAt(t.Context(), "berlin", "")
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Zero(t, count(t, f.address, "select count(*) from edge_publications"))
	require.Nil(t, f.edge("berlin").Status)
	require.Empty(t, f.edge("berlin").Stale, "nothing was sent to it")
	release, err := f.store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Empty(t, release.Edges)
	require.Empty(t, release.Hosts)

	_, err = f.store.AdmitEdge(t.Context(), fleet.EdgeAdmission{Edge: "berlin", Key: "age1other"})
	conflict(t, err, "has announced another key: age1berlin")
	for range 2 { // it may be called twice
		state, err := f.store.AdmitEdge(t.Context(), fleet.EdgeAdmission{Edge: "berlin"})
		require.NoError(t, err)
		require.Equal(t, "age1berlin", state.Key)
		require.WithinDuration(t, time.Now(), state.Admitted, time.Minute)
	}
	require.Equal(t, []string{"shop"}, f.edge("berlin").Stale)
	answer, err = f.announce("berlin", nil)
	require.NoError(t, err)
	require.Equal(t, fleet.EdgeAnswer{Admitted: true, Keys: answer.Keys, Secret: answer.Secret, Publications: []fleet.Publication{made.Publication}}, answer)
	answer, err = f.announce("berlin", map[string]int64{"shop": made.Publication.Version})
	require.NoError(t, err)
	require.Equal(t, fleet.EdgeAnswer{Admitted: true, Keys: answer.Keys, Secret: answer.Secret}, answer)
	require.Empty(t, f.edge("berlin").Stale, "its announcement says what it has")

	release, err = f.store.Release(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, []fleet.EdgeHost{{Name: "berlin", Machine: fleet.Machine{ID: "m-berlin", Boot: "b1"}, Ports: map[int]int{443: 8443}}}, release.Edges)
	require.Equal(t, map[string]fleet.NodeHost{"rift": {Address: "10.0.0.1"}}, release.Hosts)
	admitted, err := f.store.AdmittedEdges(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"berlin"}, admitted)
}

func TestTheKeyOfAnEdgeIsPinned(t *testing.T) {
	f := newFronted(t, "berlin")
	_, err := f.announce("berlin", nil)
	require.NoError(t, err)
	before := f.edge("berlin")
	_, err = f.store.AnnounceEdge(t.Context(), fleet.EdgeRecord{Name: "berlin", Key: "age1thief", Hostname: "thief.example"})
	conflict(t, err, "admitted with another key", "mcp edge remove berlin")
	_, err = f.store.AdmitEdge(t.Context(), fleet.EdgeAdmission{Edge: "berlin", Key: "age1thief"})
	conflict(t, err, "mcp edge remove berlin")
	require.Equal(t, before, f.edge("berlin"))

	require.NoError(t, f.store.RemoveEdge(t.Context(), "berlin"))
	require.NoError(t, f.store.RemoveEdge(t.Context(), "berlin"), "the answer to the first call may have been lost")
	answer, err := f.store.AnnounceEdge(t.Context(), fleet.EdgeRecord{Name: "berlin", Key: "age1thief"})
	require.NoError(t, err)
	require.False(t, answer.Admitted)
	require.Equal(t, "age1thief", f.edge("berlin").Key, "until one is admitted, the last one that was announced")
}

func TestTheEdgesThatWaitToBeAdmittedAreBounded(t *testing.T) {
	f := newFronted(t, "berlin")
	for i := range 100 {
		_, err := f.announce(fmt.Sprint("e", i), nil)
		require.NoError(t, err)
	}
	_, err := f.announce("e100", nil)
	conflict(t, err, "100 others wait to be admitted", "mcp edge list")
	_, err = f.announce("e99", nil)
	require.NoError(t, err, "one that waits already")
	_, err = f.announce("berlin", nil)
	require.NoError(t, err, "one that is admitted")
	require.NoError(t, f.store.ThinEdges(t.Context(), time.Now().Add(time.Hour)))
	edges, err := f.store.Edges(t.Context())
	require.NoError(t, err)
	require.Len(t, edges, 1, "those that have not been seen for long are forgotten")
}

func TestTheStateOfEdges(t *testing.T) {
	f := newFronted(t, "berlin")
	shop := f.release(routed("shop", "shop.example"), 20001).Publication
	blog := f.release(routed("blog", "blog.example"), 20002).Publication
	_, err := f.announce("berlin", map[string]int64{"shop": shop.Version})
	require.NoError(t, err)
	require.Equal(t, []string{"blog"}, f.edge("berlin").Stale)
	f.ack("berlin", blog, "port 443: address already in use")
	status := fleet.EdgeStatus{
		Versions:     map[string]int64{"shop": shop.Version, "blog": blog.Version, "lost": 7},
		Certificates: []fleet.Certificate{{Hostname: "shop.example", Issuer: "Pebble"}},
		Active:       map[string]int{"10.0.0.1:20001": 3}, Listening: []int{8443}, Problems: []string{"the disk is full"},
	}
	require.NoError(t, f.store.RecordEdgeStatus(t.Context(), "berlin", status))
	got := f.edge("berlin")
	require.WithinDuration(t, time.Now(), got.Seen, time.Minute)
	got.Seen, got.Admitted = time.Time{}, time.Time{}
	require.Equal(t, fleet.EdgeState{
		EdgeRecord: fleet.EdgeRecord{
			Name: "berlin", Key: "age1berlin", Version: "v1", Hostname: "berlin.example", Addresses: []string{"192.0.2.1"},
			Ports: map[int]int{443: 8443}, Machine: fleet.Machine{ID: "m-berlin", Boot: "b1"},
		},
		Stale: []string{}, Unknown: []string{"lost"}, Status: &status,
		Problems: map[string][]string{"blog": {"port 443: address already in use"}},
	}, got)

	// An acknowledgement that comes late counts no more; an announcement does, as after a
	// loss of the edge's disk.
	f.ack("berlin", fleet.Publication{Service: "blog", Version: blog.Version - 1})
	require.Empty(t, f.edge("berlin").Stale)
	require.Equal(t, map[string][]string{"blog": {"port 443: address already in use"}}, f.edge("berlin").Problems)
	f.ack("berlin", blog)
	require.Empty(t, f.edge("berlin").Problems)
	_, err = f.announce("berlin", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"blog", "shop"}, f.edge("berlin").Stale)
	require.NoError(t, f.store.RecordEdgeStatus(t.Context(), "berlin", status))
	require.Empty(t, f.edge("berlin").Stale, "its status says what it has")
}

func TestAPortIsNotAllocatedWhileAnEdgeMayLeadToIt(t *testing.T) {
	const old = 20001
	tests := map[string]struct {
		// edges are those that got the port; free is what ends its rest.
		edges []string
		free  func(f *fronted, newer fleet.Publication)
	}{
		"until the edge acknowledges a newer publication": {[]string{"berlin"}, func(f *fronted, newer fleet.Publication) {
			f.ack("berlin", newer)
		}},
		"until all edges do": {[]string{"berlin", "lisbon"}, func(f *fronted, newer fleet.Publication) {
			f.ack("berlin", newer)
			f.ack("lisbon", newer)
		}},
		"until the edge is removed": {[]string{"berlin"}, func(f *fronted, _ fleet.Publication) {
			require.NoError(f.t, f.store.RemoveEdge(f.t.Context(), "berlin"))
		}},
		"until it announces what it has": {[]string{"berlin"}, func(f *fronted, newer fleet.Publication) {
			_, err := f.announce("berlin", map[string]int64{"shop": newer.Version})
			require.NoError(f.t, err)
		}},
		"until its status says so": {[]string{"berlin"}, func(f *fronted, newer fleet.Publication) {
			require.NoError(f.t, f.store.RecordEdgeStatus(f.t.Context(), "berlin", fleet.EdgeStatus{Versions: map[string]int64{"shop": newer.Version}}))
		}},
	}
	gone := map[string]func(*fronted) *fleet.Publishing{
		"by an update":   func(f *fronted) *fleet.Publishing { return f.release(routed("shop", "shop.example"), 20002) },
		"by an undeploy": func(f *fronted) *fleet.Publishing { return f.undeploy("shop") },
		"by a purge": func(f *fronted) *fleet.Publishing {
			made := f.undeploy("shop")
			_, err := f.store.Purge(f.t.Context(), "shop", false, disposal.MayPurge)
			require.NoError(f.t, err)
			return made
		},
	}
	for name, test := range tests {
		for how, leave := range gone {
			t.Run(how+" "+name, func(t *testing.T) {
				f := newFronted(t, test.edges...)
				first := f.release(routed("shop", "shop.example"), old)
				for _, edge := range test.edges {
					f.ack(edge, first.Publication)
				}
				newer := leave(f).Publication
				b := f.begin(definition("blog", "web", "db"))
				taken := func() (port int, static error) {
					t.Helper()
					r := portRequest("blog", "web", b.number, []int{old, 20009}, "http")
					r.Run = b.run
					port = allocate(t, f.store, r)[0]
					exec(t, f.address, "delete from component_routes where service = 'blog'")
					_, static = f.store.AllocatePorts(t.Context(), staticRequest("blog", "db", b.number, old))
					exec(t, f.address, "delete from component_routes where service = 'blog'")
					return port, static
				}
				r := portRequest("blog", "web", b.number, []int{old}, "http")
				r.Run = b.run
				few := portInUse(t, f.store, r)
				require.Contains(t, few.Message, "1 rest until edge berlin")
				require.Equal(t, "start the edge, or forget it: mcp edge remove berlin", few.Hint)
				port, err := taken()
				require.Equal(t, 20009, port)
				require.True(t, fault.Is(err, fault.PortInUse), "%v", err)
				require.ErrorContains(t, err, "was a port of shop, to which edge berlin")
				require.Contains(t, fault.Of(err).Hint, "mcp edge remove berlin")

				test.free(f, newer)
				port, err = taken()
				require.Equal(t, old, port)
				require.NoError(t, err)
			})
		}
	}
}

func TestAPortRestsForThoseEdgesThatMayHaveIt(t *testing.T) {
	next := func(f *fronted, candidates ...int) int {
		f.t.Helper()
		b := f.begin(definition("blog", "web"))
		r := portRequest("blog", "web", b.number, candidates, "http")
		r.Run = b.run
		routes, err := f.store.AllocatePorts(f.t.Context(), r)
		require.NoError(f.t, err)
		b.finish("failed")
		exec(f.t, f.address, "delete from component_routes where service = 'blog'")
		return routes[0].HostPort
	}
	t.Run("none has it", func(t *testing.T) {
		f := newFronted(t)
		f.release(routed("shop", "shop.example"), 20001)
		f.undeploy("shop")
		f.admit("berlin")
		require.Equal(t, 20001, next(f, 20001, 20009), "it was never sent")
	})
	t.Run("a deployment that failed has published nothing", func(t *testing.T) {
		f := newFronted(t, "berlin")
		f.ack("berlin", f.release(routed("shop", "shop.example"), 20001).Publication)
		b := f.begin(routed("shop", "shop.example"))
		r := portRequest("shop", "web", b.number, []int{20002}, "http")
		r.Run = b.run
		allocate(t, f.store, r)
		b.finish("failed")
		require.Equal(t, 20002, next(f, 20002, 20009))
	})
	t.Run("an edge that a hold has not reached", func(t *testing.T) {
		f := newFronted(t, "berlin")
		f.ack("berlin", f.release(routed("shop", "shop.example"), 20001).Publication)
		b := f.begin(routed("shop", "shop.example"))
		hold, err := b.publish(fleet.PublishRequest{Held: []string{"web"}})
		require.NoError(t, err)
		made := b.commit(20002)
		b.finish("succeeded")
		require.Equal(t, 20009, next(f, 20001, 20009))
		f.ack("berlin", hold.Publication)
		require.Equal(t, 20001, next(f, 20001, 20009), "without the container that goes")
		require.Equal(t, []string{"shop"}, f.edge("berlin").Stale)
		f.ack("berlin", made.Publication)
	})
	t.Run("one that was sent it when it had announced itself", func(t *testing.T) {
		f := newFronted(t)
		f.release(routed("shop", "shop.example"), 20001)
		f.admit("berlin")
		_, err := f.announce("berlin", nil)
		require.NoError(t, err)
		f.undeploy("shop")
		require.Equal(t, 20009, next(f, 20001, 20009))
	})
	t.Run("one that was sent it by the monitor", func(t *testing.T) {
		f := newFronted(t)
		f.release(routed("shop", "shop.example"), 20001)
		f.admit("berlin")
		_, _, err := f.store.MissingAt(t.Context(), "berlin", "")
		require.NoError(t, err)
		f.undeploy("shop")
		require.Equal(t, 20009, next(f, 20001, 20009))
	})
	t.Run("another node with the address of one that was removed", func(t *testing.T) {
		f := newFronted(t, "berlin")
		f.release(routed("shop", "shop.example"), 20001)
		f.undeploy("shop")
		require.NoError(t, removeNode(t, f.store, "rift", func(fleet.NodeUse) error { return nil }))
		record(t, f.store, fleet.NodeRecord{Name: "orion", Address: "10.0.0.1"})
		d := definition("blog", "web")
		d.Components[0].Node = "orion"
		b := f.begin(d)
		r := portRequest("blog", "web", b.number, []int{20001, 20009}, "http")
		r.Node, r.Run = "orion", b.run
		require.Equal(t, []int{20009}, allocate(t, f.store, r))
	})
	t.Run("the loopback address of another node is another", func(t *testing.T) {
		f := newFronted(t, "berlin")
		record(t, f.store, fleet.NodeRecord{Name: "rift", Address: "127.0.0.1"})
		record(t, f.store, fleet.NodeRecord{Name: "orion", Address: "127.0.0.1"})
		f.release(routed("shop", "shop.example"), 20001)
		d := definition("blog", "web")
		d.Components[0].Node = "orion"
		b := f.begin(d)
		r := portRequest("blog", "web", b.number, []int{20001, 20009}, "http")
		r.Node, r.Run = "orion", b.run
		require.Equal(t, []int{20001}, allocate(t, f.store, r))
	})
}

func TestWhatNoEdgeLeadsToIsForgotten(t *testing.T) {
	f := newFronted(t, "berlin")
	for i := range 5 {
		f.ack("berlin", f.release(routed("shop", "shop.example"), 20001+i).Publication)
	}
	require.LessOrEqual(t, count(t, f.address, "select count(*) from published_ports"), 2)
	require.NoError(t, f.store.ThinEdges(t.Context(), time.Now()))
	require.Equal(t, 20005, count(t, f.address, "select port from published_ports"), "but not what it serves")
}
