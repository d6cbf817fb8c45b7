package registry_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/disposal"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
)

func TestACommitPublishesWhatItCommits(t *testing.T) {
	f := newFronted(t, "lisbon", "berlin")
	before := newest()
	b := f.begin(routed("shop", "shop.example"))
	made := b.commit(20001)
	require.Equal(t, &fleet.Publishing{
		Publication: fleet.Publication{Service: "shop", Version: made.Publication.Version, Routes: []fleet.EdgeRoute{{
			Endpoint: site("shop.example"), Components: []string{"web"}, Name: "http", Upstreams: []string{"10.0.0.1:20001"},
		}}},
		Edges: []string{"berlin", "lisbon"},
	}, made)
	require.Greater(t, made.Publication.Version, before)
	require.Equal(t, []string{"shop"}, f.edge("berlin").Stale)
	listed, err := f.store.Publications(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []fleet.Publication{made.Publication}, listed)

	require.Equal(t, made, b.commit(20001), "the answer was lost")
	b.finish("succeeded")
	require.Equal(t, made, b.commit(20001), "and again, when it is closed")
	f.ack("berlin", made.Publication)
	require.Empty(t, f.edge("berlin").Stale)
	require.Equal(t, []string{"shop"}, f.edge("lisbon").Stale)

	b = f.begin(routed("shop", "shop.example"))
	next := b.commit(20002)
	require.Greater(t, next.Publication.Version, made.Publication.Version)
	require.Equal(t, []string{"10.0.0.1:20001"}, next.Former)
	require.Equal(t, next, b.commit(20002))
	b.finish("succeeded")

	gone := f.undeploy("shop")
	require.Empty(t, gone.Publication.Routes)
	require.Equal(t, []string{"10.0.0.1:20002"}, gone.Former)
	listed, err = f.store.Publications(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, listed, "it is served no more")
	require.Equal(t, []string{"shop"}, f.edge("berlin").Stale, "which the edge has yet to get")
	require.Nil(t, f.release(definition("shop", "web"), 20003), "it has no route any more")
}

// A registry that was emptied does not know where nodes publish routes, until they answer
// a deployment.
func TestACommitLearnsWhereNodesPublish(t *testing.T) {
	store, address := newStore(t)
	f := &fronted{t, store, address}
	b := f.begin(routed("shop", "shop.example"))
	b.addresses = map[string]string{"rift": "10.0.0.7", "orion": "10.0.0.8"}
	require.Equal(t, []string{"10.0.0.7:20001"}, b.commit(20001).Publication.Upstreams())
	b.finish("succeeded")
	b = f.begin(routed("shop", "shop.example"))
	require.Equal(t, []string{"10.0.0.7:20002"}, b.commit(20002).Publication.Upstreams(), "it is known now")
	b.finish("succeeded")
	b = f.begin(routed("shop", "shop.example"))
	b.addresses = map[string]string{"rift": "10.0.0.9"}
	require.Equal(t, []string{"10.0.0.9:20003"}, b.commit(20003).Publication.Upstreams(), "and has changed")
}

func TestACommitThatIsRefusedPublishesNothing(t *testing.T) {
	f := newFronted(t, "berlin")
	lost := f.begin(routed("shop", "shop.example"))
	f.release(routed("shop", "shop.example"), 20002)
	version := count(t, f.address, "select version from publications")
	_, err := lost.tryCommit(20001)
	conflict(t, err)
	require.Equal(t, version, count(t, f.address, "select version from publications"))
}

func TestAServiceThatEdgesDoNotServeHasNoPublication(t *testing.T) {
	f := newFronted(t, "berlin")
	require.Nil(t, f.release(definition("shop", "web"), 20001))
	made, err := f.store.SetMaintenance(t.Context(), fleet.MaintenanceRequest{Service: "shop", On: true}, publication.Routes)
	require.NoError(t, err)
	require.Equal(t, fleet.Publishing{Publication: fleet.Publication{Service: "shop"}}, made)
	require.Zero(t, count(t, f.address, "select count(*) from publications"))
	for _, name := range []string{"none", "bloG"} {
		_, err = f.store.Publish(t.Context(), fleet.PublishRequest{Service: name}, publication.Routes)
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	}
	_, err = f.store.SetMaintenance(t.Context(), fleet.MaintenanceRequest{Service: "none", On: true}, publication.Routes)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

// two is a service with two components behind one endpoint.
func two() servicedef.Service {
	d := routed("shop", "shop.example")
	blue, green := d.Components[0], d.Components[0]
	blue.Name, green.Name = "blue", "green"
	d.Components = []servicedef.Component{blue, green}
	return d
}

func TestADeploymentHoldsAndReleasesRoutes(t *testing.T) {
	f := newFronted(t, "berlin")
	first := f.begin(two())
	first.commit(20001, 20002)
	first.finish("succeeded")

	b := f.begin(two())
	require.False(t, b.interim)
	upstreams := func(p fleet.Publishing, err error) []string {
		t.Helper()
		require.NoError(t, err)
		return p.Publication.Upstreams()
	}
	for range 2 { // it may be called twice, and drains the same
		made, err := b.publish(fleet.PublishRequest{Held: []string{"blue"}})
		require.Equal(t, []string{"10.0.0.1:20002"}, upstreams(made, err))
		require.Equal(t, []string{"10.0.0.1:20001"}, made.Former)
	}
	made, err := b.publish(fleet.PublishRequest{Held: []string{"blue", "green"}})
	require.Empty(t, upstreams(made, err))
	require.True(t, made.Publication.Routes[0].Held)
	require.Equal(t, []string{"10.0.0.1:20001", "10.0.0.1:20002"}, made.Former)

	// An operator, and the monitor, leave the hold as it is.
	made, err = f.store.SetMaintenance(t.Context(), fleet.MaintenanceRequest{Service: "shop", On: true}, publication.Routes)
	require.Empty(t, upstreams(made, err))
	require.True(t, made.Publication.Routes[0].Held && made.Publication.Routes[0].Maintenance)
	made, err = f.store.Publish(t.Context(), fleet.PublishRequest{Service: "shop"}, publication.Routes)
	require.Empty(t, upstreams(made, err))

	// So does a commit with the maintenance, but it releases the hold.
	released := b.commit(20003, 20002)
	require.Equal(t, []string{"10.0.0.1:20003", "10.0.0.1:20002"}, released.Publication.Upstreams())
	require.Equal(t, []string{"10.0.0.1:20001"}, released.Former, "since before the holds")
	require.True(t, released.Publication.Routes[0].Maintenance)
	require.False(t, released.Publication.Routes[0].Held)
	_, err = b.publish(fleet.PublishRequest{Held: []string{"blue"}})
	conflict(t, err) // it comes late
	b.finish("succeeded")
	_, err = b.publish(fleet.PublishRequest{})
	conflict(t, err, "is over")

	made, err = f.store.SetMaintenance(t.Context(), fleet.MaintenanceRequest{Service: "shop"}, publication.Routes)
	require.Equal(t, []string{"10.0.0.1:20003", "10.0.0.1:20002"}, upstreams(made, err))
	require.False(t, made.Publication.Routes[0].Maintenance)

	// What is stopped gets nothing, and the undo puts it back.
	b = f.begin(two())
	made, err = b.publish(fleet.PublishRequest{Stopped: []string{"green"}})
	require.Equal(t, []string{"10.0.0.1:20003"}, upstreams(made, err))
	require.False(t, made.Publication.Routes[0].Held)
	made, err = b.publish(fleet.PublishRequest{})
	require.Equal(t, []string{"10.0.0.1:20003", "10.0.0.1:20002"}, upstreams(made, err))
	require.Empty(t, made.Former)
	b.finish("failed")
}

func TestWhatALostDeploymentHoldsIsReleased(t *testing.T) {
	f := newFronted(t, "berlin")
	f.release(routed("shop", "shop.example"), 20001)
	lost := f.begin(routed("shop", "shop.example"))
	_, err := lost.publish(fleet.PublishRequest{Held: []string{"web"}})
	require.NoError(t, err)
	wanted := func() (wanted fleet.WantedVersion) {
		t.Helper()
		_, _, err := f.store.RecordEdgeDrift(t.Context(), fleet.EdgeObservation{Edge: "berlin", At: time.Now()}, nil, func(e fleet.EdgeEvidence) fleet.EdgeFindings {
			wanted = e.Wanted[0]
			return fleet.EdgeFindings{}
		})
		require.NoError(t, err)
		return wanted
	}
	require.False(t, wanted().Interim, "it is under way")
	require.NoError(t, f.store.CloseLost(t.Context(), fleet.OpenRun{Service: "shop", RunID: lost.run}))
	_, err = lost.publish(fleet.PublishRequest{Held: []string{"web"}})
	conflict(t, err, "is over")
	require.True(t, wanted().Interim, "the monitor makes it anew")

	next := f.begin(routed("shop", "shop.example"))
	require.True(t, next.interim, "or the next deployment")
	made, err := f.store.Publish(t.Context(), fleet.PublishRequest{Service: "shop", Keep: true}, publication.Routes)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:20001"}, made.Publication.Upstreams())
	require.False(t, wanted().Interim)
	next.finish("failed")
	require.False(t, f.begin(routed("shop", "shop.example")).interim)
}

// A registry that was restored from a backup, or emptied, gives greater versions than
// edges have.
func TestVersionsGrowOverARestore(t *testing.T) {
	f := newFronted(t, "berlin")
	lost := f.release(routed("shop", "shop.example"), 20001).Publication
	f.ack("berlin", lost)
	version := func() int64 {
		t.Helper()
		made, err := f.store.Publish(t.Context(), fleet.PublishRequest{Service: "shop"}, publication.Routes)
		require.NoError(t, err)
		return made.Publication.Version
	}
	exec(t, f.address, "update publications set version = 5; update edge_publications set acked = 5, sent = 5")
	require.Greater(t, version(), lost.Version, "an older backup, by the clock")
	exec(t, f.address, "delete from publications; delete from edge_publications")
	require.Greater(t, version(), lost.Version, "an empty registry")

	// The clock may be behind: then what edges say counts.
	ahead := time.Now().Add(time.Hour).UnixMicro()
	answer, err := f.announce("berlin", map[string]int64{"shop": ahead})
	require.NoError(t, err)
	require.Empty(t, answer.Publications, "it has a newer one")
	require.Equal(t, ahead+1, version())
	require.Equal(t, ahead+2, version())
}

func TestVersionsGrowInTransactionsAtOnce(t *testing.T) {
	f := newFronted(t, "berlin")
	f.release(routed("shop", "shop.example"), 20001)
	f.undeploy("shop")
	_, err := f.store.Purge(t.Context(), "shop", false, disposal.MayPurge) // no row of the service to lock
	require.NoError(t, err)
	var mu sync.Mutex
	versions := map[int64]bool{}
	var all errgroup.Group
	for range 20 {
		all.Go(func() error {
			made, err := f.store.Publish(t.Context(), fleet.PublishRequest{Service: "shop"}, publication.Routes)
			mu.Lock()
			defer mu.Unlock()
			versions[made.Publication.Version] = true
			return err
		})
	}
	require.NoError(t, all.Wait())
	require.Len(t, versions, 20)
}

func TestAPurgeKeepsThePublicationWithoutRoutes(t *testing.T) {
	f := newFronted(t, "berlin")
	first := f.release(routed("shop", "shop.example"), 20001)
	gone := f.undeploy("shop")
	_, err := f.store.Purge(t.Context(), "shop", false, disposal.MayPurge)
	require.NoError(t, err)
	answer, err := f.announce("berlin", map[string]int64{"shop": first.Publication.Version})
	require.NoError(t, err)
	require.Equal(t, []fleet.Publication{{Service: "shop", Version: gone.Publication.Version, Routes: []fleet.EdgeRoute{}}}, answer.Publications)

	// It is dropped when it is old, and every edge has acknowledged it.
	kept := func(before time.Time) int {
		t.Helper()
		require.NoError(t, f.store.ThinEdges(t.Context(), before))
		return count(t, f.address, "select count(*) from publications")
	}
	soon := time.Now().Add(time.Hour)
	require.Equal(t, 1, kept(soon))
	f.ack("berlin", gone.Publication)
	require.Equal(t, 1, kept(time.Now().Add(-time.Hour)))
	f.admit("lisbon") // which may have it from before
	require.Equal(t, 1, kept(soon))
	require.NoError(t, f.store.RemoveEdge(t.Context(), "lisbon"))
	require.Equal(t, 0, kept(soon))
	require.Zero(t, count(t, f.address, "select count(*) from edge_publications"))
	require.Zero(t, count(t, f.address, "select count(*) from published_ports"))

	again := f.release(routed("shop", "shop.example"), 20001)
	require.Greater(t, again.Publication.Version, gone.Publication.Version)
	require.Equal(t, 1, kept(soon), "that of a service stays")
	f.undeploy("shop")
	f.ack("berlin", fleet.Publication{Service: "shop", Version: newest()})
	require.Equal(t, 1, kept(soon), "also without routes")
}

// Commits, acknowledgements, statuses and announcements of many services and edges at
// once wait for each other and never in a circle.
func TestManyTransactionsAtOnceRecordWhatEdgesHave(t *testing.T) {
	edges := []string{"berlin", "lisbon", "oslo"}
	f := newFronted(t, edges...)
	services := []string{"a", "b", "c", "d"}
	versions := map[string]int64{}
	for i, name := range services {
		versions[name] = f.release(routed(name, name+".example"), 20001+i).Publication.Version
	}
	var all errgroup.Group
	for range 10 {
		for i, name := range services {
			all.Go(func() error {
				made, err := f.store.Publish(t.Context(), fleet.PublishRequest{Service: name}, publication.Routes)
				if err != nil {
					return fmt.Errorf("publish: %w", err)
				}
				var acks []fleet.EdgeAck
				for j := range edges {
					edge := edges[(i+j)%len(edges)]
					acks = append(acks, fleet.EdgeAck{Edge: edge, Service: name, Version: made.Publication.Version})
				}
				return f.store.RecordAcks(t.Context(), acks)
			})
		}
		for _, edge := range edges {
			all.Go(func() error {
				_, err := f.announce(edge, versions)
				return err
			})
			all.Go(func() error { return f.store.RecordEdgeStatus(t.Context(), edge, fleet.EdgeStatus{Versions: versions}) })
			all.Go(func() error {
				_, _, err := f.store.MissingAt(t.Context(), edge, "")
				return err
			})
		}
	}
	require.NoError(t, all.Wait())
}

// An edge that has nothing gets all of a large table, in parts that fit into an answer.
func TestALargeTableTravelsInParts(t *testing.T) {
	f := newFronted(t)
	d := routed("shop", "shop.example")
	d.Components[0].Routes[0].BasicAuth = map[string]string{"ann": strings.Repeat("x", 700_000)}
	for _, name := range []string{"a", "b", "c"} {
		d.Name, d.Components[0].Routes[0].Hostname = name, servicedef.Hostnames{name + ".example"}
		f.release(d, 20001)
	}
	f.admit("berlin")
	had := map[string]int64{}
	for i, name := range []string{"a", "b", "c"} {
		answer, err := f.announce("berlin", had)
		require.NoError(t, err)
		require.Len(t, answer.Publications, 1)
		require.Equal(t, name, answer.Publications[0].Service)
		require.Equal(t, i < 2, answer.More)
		had[name] = answer.Publications[0].Version
	}
	missing, more, err := f.store.MissingAt(t.Context(), "berlin", "a")
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, "c", missing[0].Service, "b was acknowledged by the last announcement")
}
