package registry_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/internal/seal"
)

// What an edge says of itself is input, also that of one that was admitted.
func TestAnEdgeThatLiesHarmsNoOther(t *testing.T) {
	f := newFronted(t)
	control := &oncontrol.Control{Registry: f.store}
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	key := identity.Key().String()
	for name, r := range map[string]fleet.EdgeRecord{
		"no name":             {Key: key},
		"a name with escapes": {Name: "berlin\x1b]0;evil\x07", Key: key},
		"a long name":         {Name: strings.Repeat("b", 64), Key: key},
		"no key":              {Name: "berlin"},
		"a key that is none":  {Name: "berlin", Key: "age1" + strings.Repeat("q", 1<<20)},
		"a private key":       {Name: "berlin", Key: "AGE-SECRET-KEY-1" + strings.Repeat("Q", 58)},
	} {
		_, err := control.RecordAnnouncement(t.Context(), r)
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "\x1b")
		require.Less(t, len(err.Error()), 1000)
	}
	_, err = control.PinEdge(t.Context(), fleet.EdgeAdmission{Edge: "berlin", Key: "x"})
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)

	const evil = "\x00\xff\x1b"
	long := evil + strings.Repeat("x", 1<<20)
	versions := map[string]int64{"shop": math.MaxInt64, "blog": -1, evil: 1, long: 2}
	record := fleet.EdgeRecord{Name: "berlin", Key: key, Version: long, Hostname: long, Machine: fleet.Machine{ID: long, Boot: long, Hostname: long}, Versions: versions}
	status := fleet.EdgeStatus{Versions: versions, Active: map[string]int{long: math.MaxInt, evil: -1}, Started: time.Unix(math.MaxInt32<<16, 0)}
	for i := range 30_000 {
		record.Addresses = append(record.Addresses, evil)
		status.Problems = append(status.Problems, evil)
		status.Listening = append(status.Listening, i*i)
		status.Certificates = append(status.Certificates, fleet.Certificate{Hostname: evil, Problem: evil, Until: time.Unix(math.MaxInt32<<16, 0)})
		status.Active[fmt.Sprint(i)] = 1
	}
	record.Ports = map[int]int{-1: 80, 80: math.MaxInt, 443: 8443}
	for range 2 { // waiting, then admitted
		_, err = control.RecordAnnouncement(t.Context(), record)
		require.NoError(t, err)
		_, err = control.PinEdge(t.Context(), fleet.EdgeAdmission{Edge: "berlin"})
		require.NoError(t, err)
	}
	first := f.release(routed("shop", "shop.example"), 20001)
	require.NoError(t, control.RecordEdgeStatus(t.Context(), oncontrol.RecordEdgeStatusInput{Edge: "berlin", Status: status}))
	var acks []fleet.EdgeAck
	for _, service := range []string{"shop", "blog", evil, long} {
		for _, version := range []int64{math.MinInt64, 0, math.MaxInt64} {
			acks = append(acks, fleet.EdgeAck{Edge: "berlin", Service: service, Version: version, Problems: []string{evil}})
		}
	}
	require.NoError(t, control.RecordAcks(t.Context(), oncontrol.RecordAcksInput{Acks: acks}))

	edges, err := control.ListEdges(t.Context())
	require.NoError(t, err)
	require.Len(t, edges, 1)
	berlin := edges[0]
	require.Equal(t, []string{"shop"}, berlin.Stale, "no version that it named can be one")
	require.Equal(t, map[int]int{443: 8443}, berlin.Ports)
	require.Len(t, berlin.Addresses, 100)
	require.Len(t, berlin.Status.Problems, 100)
	require.Len(t, berlin.Status.Certificates, 10_000)
	require.LessOrEqual(t, len(berlin.Status.Listening), 1000)
	require.LessOrEqual(t, len(berlin.Status.Active), 10_000)
	require.NotContains(t, berlin.Hostname, "\x00")

	// The greatest version that is credible leaves room for those of years to come.
	ahead := time.Now().AddDate(0, 11, 0).UnixMicro()
	require.NoError(t, control.RecordAcks(t.Context(), oncontrol.RecordAcksInput{Acks: []fleet.EdgeAck{{Edge: "berlin", Service: "shop", Version: ahead}}}))
	second := f.release(routed("shop", "shop.example"), 20002)
	require.Greater(t, second.Publication.Version, ahead)
	require.Greater(t, second.Publication.Version, first.Publication.Version)
	require.NoError(t, control.RecordAcks(t.Context(), oncontrol.RecordAcksInput{Acks: []fleet.EdgeAck{{Edge: "berlin", Service: "shop", Version: second.Publication.Version}}}))
	require.Empty(t, f.edge("berlin").Stale)
}

// ended is a lock under which no workflow runs.
type ended struct{}

func (ended) Held(context.Context, string) (bool, error)         { return false, nil }
func (ended) Open(context.Context, string, string) (bool, error) { return false, nil }

func TestADeploymentWhoseWorkflowWasEndedKeepsNoEndpointFromAnother(t *testing.T) {
	f := newFronted(t)
	control := &oncontrol.Control{Registry: f.store, Lock: ended{}}
	lost := f.begin(routed("shop", "shop.example"))
	r := beginRequest(routed("blog", "shop.example"))
	_, err := control.BeginDeployment(t.Context(), r)
	require.NoError(t, err)
	_, err = lost.publish(fleet.PublishRequest{})
	conflict(t, err, "is over")
	require.Equal(t, map[string]string{"shop.example": "blog"}, f.holders("shop.example"))

	f2 := newFronted(t)
	control.Registry = f2.store
	f2.release(routed("shop", "shop.example"), 20001)
	_, err = control.BeginDeployment(t.Context(), beginRequest(routed("blog", "shop.example")))
	conflict(t, err, "is held by service shop")
}

func TestTheControlWorkerPublishesByThePlan(t *testing.T) {
	f := newFronted(t, "berlin")
	control := &oncontrol.Control{Registry: f.store, Lock: ended{}}
	d := routed("shop", "shop.example")
	r := beginRequest(d)
	begun, err := control.BeginDeployment(t.Context(), r)
	require.NoError(t, err)
	m := member("shop", "web", begun.Number, fleet.Route{Name: "http", Port: 443, Mode: "l7", HostPort: 20001})
	m.Run = r.RunID
	committed, err := control.CommitRelease(t.Context(), fleet.CommitRequest{
		Service: "shop", Deployment: begun.Number, Run: r.RunID, Active: true, Members: []fleet.Member{m},
	})
	require.NoError(t, err)
	want := publication.Routes(fleet.PublicationSource{Definition: &d, Members: []fleet.Member{m}, Addresses: map[string]string{"rift": "10.0.0.1"}})
	require.NotEmpty(t, want)
	require.Equal(t, want, committed.Publishing.Publication.Routes)
	made, err := control.MakePublication(t.Context(), fleet.PublishRequest{Service: "shop", Deployment: begun.Number, Run: r.RunID, Held: []string{"web"}})
	conflict(t, err)
	require.Empty(t, made.Edges)
}
