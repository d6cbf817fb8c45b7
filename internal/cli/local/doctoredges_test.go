package local

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)

// admittedEdge is one that answers and serves everything.
func admittedEdge(change func(*fleet.EdgeState)) fleet.EdgeState {
	e := fleet.EdgeState{
		EdgeRecord: fleet.EdgeRecord{Name: "front", Version: "1", Hostname: "gate", Addresses: []string{"203.0.113.7"}},
		Admitted:   noon, Seen: noon, Status: &fleet.EdgeStatus{Versions: map[string]int64{"shop": 1}},
	}
	change(&e)
	return e
}

func TestDoctorSaysWhyAnEdgeIsStale(t *testing.T) {
	found := edgeFindings(admittedEdge(func(e *fleet.EdgeState) {
		e.Stale, e.Status.Problems = []string{"shop"}, []string{"port 22 is taken"}
		e.Problems = map[string][]string{"shop": {"port 22 is taken", "its disk is full"}}
	}), nil, "1")
	require.Len(t, found, 2)
	require.Equal(t, "warn", found[0].Status)
	require.Equal(t, "fail", found[1].Status)
	require.Equal(t, "port 22 is taken\nits disk is full", found[1].Detail)
}

func TestDoctorSaysHowAnEdgeIs(t *testing.T) {
	away := fault.New(fault.Unavailable, "edge front is away")
	for name, test := range map[string]struct {
		change               func(*fleet.EdgeState)
		silent               *fault.Error
		status, detail, hint string
	}{
		"sound":           {func(*fleet.EdgeState) {}, nil, "ok", "it answers, and has the newest routes of 1 service", ""},
		"another mcp":     {func(e *fleet.EdgeState) { e.Version = "0.9" }, nil, "warn", "mcp 0.9", "upgrade the older"},
		"not admitted":    {func(e *fleet.EdgeState) { e.Admitted = time.Time{} }, nil, "warn", "waits for its admission since 2026-05-01 12:00:00", "mcp edge admit front"},
		"away":            {func(*fleet.EdgeState) {}, away, "fail", "edge front is away", "start mcp-edge on gate"},
		"stale":           {func(e *fleet.EdgeState) { e.Stale = []string{"shop", "blog"} }, nil, "warn", "not the newest routes of shop, blog", "mcp edge show front"},
		"from before":     {func(e *fleet.EdgeState) { e.Unknown = []string{"shop"} }, nil, "warn", "of which the registry has none", "deploy them again"},
		"with problems":   {func(e *fleet.EdgeState) { e.Status.Problems = []string{"port 443 is taken"} }, nil, "fail", "port 443 is taken", "mcp edge show front"},
		"after a problem": {func(e *fleet.EdgeState) { e.Problems = map[string][]string{"shop": {"port 443 is taken"}} }, nil, "ok", "it answers", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := edgeFindings(admittedEdge(test.change), test.silent, "1")
			require.Len(t, found, 1)
			require.Equal(t, "edge front", found[0].Check)
			require.Equal(t, test.status, found[0].Status, found[0])
			require.Contains(t, found[0].Detail, test.detail)
			require.Contains(t, found[0].Hint, test.hint)
			require.Equal(t, test.status == "fail", found[0].Kind != "")
		})
	}
}

func published(service, hostname string, upstreams ...string) reads.PublishedRoute {
	return reads.PublishedRoute{Service: service, EdgeRoute: fleet.EdgeRoute{
		Endpoint: fleet.Endpoint{Port: 443, Protocol: fleet.ProtocolHTTP, Hostname: hostname}, Upstreams: upstreams,
	}}
}

func TestDoctorSaysWhichNodesAnEdgeReaches(t *testing.T) {
	routes := []reads.PublishedRoute{published("shop", "shop.example", "10.0.0.1:20001", "10.0.0.2:20002"), published("blog", "blog.example", "10.0.0.2:20003")}
	nodes := []fleet.NodeState{{NodeRecord: fleet.NodeRecord{Name: "rift", Address: "10.0.0.1"}}}
	found := reachFindings("front", map[string]string{"10.0.0.2:20003": "connection refused"}, routes, nodes)
	require.Len(t, found, 2)
	require.Equal(t, ok("reach of rift from edge front", "it reaches 1 container"), found[0])
	require.Equal(t, "reach of 10.0.0.2 from edge front", found[1].Check)
	require.Equal(t, "it does not reach 10.0.0.2:20003 of blog: connection refused", found[1].Detail)
	require.Contains(t, found[1].Hint, "[node] publish")
}

func TestDoctorSaysHowOldCertificatesAre(t *testing.T) {
	day := 24 * time.Hour
	certificate := func(left time.Duration, problem string) fleet.Certificate {
		return fleet.Certificate{Hostname: "shop.example", Issuer: "Pebble", From: noon.Add(left - 90*day), Until: noon.Add(left), Problem: problem, Failed: noon}
	}
	for name, test := range map[string]struct {
		certificate    fleet.Certificate
		status, detail string
	}{
		"new":                       {certificate(89*day, ""), "ok", "1 certificate; the first expires 2026-07-29"},
		"late":                      {certificate(29*day, ""), "warn", "less than a third of its life is left"},
		"not renewed":               {certificate(29*day, "no address\nmore"), "warn", "was not renewed (2026-05-01 12:00:00: no address)"},
		"expired":                   {certificate(-day, ""), "fail", "it expired 2026-04-30 12:00:00"},
		"expired, and not renewed":  {certificate(-day, "no address"), "fail", "(2026-05-01 12:00:00: no address)"},
		"none, and why":             {fleet.Certificate{Hostname: "shop.example", Problem: "no address", Failed: noon}, "fail", "there is none (2026-05-01 12:00:00: no address)"},
		"none yet, with no failure": {fleet.Certificate{Hostname: "shop.example"}, "warn", "there is none yet"},
	} {
		t.Run(name, func(t *testing.T) {
			e := admittedEdge(func(e *fleet.EdgeState) { e.Status.Certificates = []fleet.Certificate{test.certificate} })
			found := certificateFindings(e, noon)
			require.Len(t, found, 1)
			require.Equal(t, test.status, found[0].Status, found[0])
			require.Contains(t, found[0].Detail, test.detail)
		})
	}
}

func TestDoctorResolvesEachHostname(t *testing.T) {
	all := reads.EdgesResult{
		Edges: []fleet.EdgeState{
			admittedEdge(func(e *fleet.EdgeState) { e.Addresses = []string{"203.0.113.7", "2001:db8::7"} }),
			admittedEdge(func(e *fleet.EdgeState) { e.Admitted, e.Addresses = time.Time{}, []string{"198.51.100.1"} }),
		},
		Routes: []reads.PublishedRoute{
			published("a", "good.example"), published("b", "good.example"), published("c", "absent.example"), published("d", "away.example"),
			published("e", "here.localhost"), published("f", "*.wild.example"), published("g", "slow.example"), published("h", ""),
		},
	}
	asked := make(chan string, 20)
	found := nameFindings(t.Context(), func(_ context.Context, name string) ([]string, error) {
		asked <- name
		switch name {
		case "good.example", "mcp-doctor.wild.example":
			return []string{"203.0.113.7", "2001:0db8::7"}, nil
		case "away.example":
			return []string{"203.0.113.7", "198.51.100.1"}, nil
		case "slow.example":
			return nil, context.DeadlineExceeded
		}
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	}, all)
	close(asked)
	require.Len(t, asked, 5)
	require.Equal(t, []string{"dns", "dns of absent.example", "dns of away.example", "dns of slow.example"},
		[]string{found[0].Check, found[1].Check, found[2].Check, found[3].Check})
	require.Equal(t, "2 hostnames lead to the edges", found[0].Detail)
	require.Equal(t, "absent.example has no address; the edges have 2001:db8::7, 203.0.113.7", found[1].Detail)
	require.Equal(t, fault.NotFound, found[1].Kind)
	require.Equal(t, "away.example leads to 198.51.100.1, and the edges have 2001:db8::7, 203.0.113.7", found[2].Detail)
	require.Equal(t, "warn", found[2].Status)
	require.Contains(t, found[3].Detail, "no answer in 5s")
}

func TestDoctorFindsHostnamesOfOthers(t *testing.T) {
	places := map[string][]servicedef.Place{
		"shop": {{Port: 443, Protocol: "http", Hostname: "shop.example"}, {Port: 443, Protocol: "http", Hostname: "blog.example"}},
		"blog": {{Port: 443, Protocol: "http", Hostname: "blog.example"}},
	}
	found := conflictFindings([]reads.PublishedRoute{published("shop", "shop.example"), published("blog", "blog.example")}, places)
	require.Len(t, found, 1)
	require.Equal(t, "route blog.example:443", found[0].Check)
	require.Equal(t, "service blog holds it, and the definition of shop names it too", found[0].Detail)
	require.Equal(t, fault.Conflict, found[0].Kind)
}

func TestDoctorMissesAnEdgeWhereRoutesNeedOne(t *testing.T) {
	d := defined{places: map[string][]servicedef.Place{"shop": {{Port: 443}}, "plain": nil}}
	require.Contains(t, noEdge(reads.EdgesResult{}, d)[0].Detail, "the hostnames of 1 service")
	require.Empty(t, noEdge(reads.EdgesResult{Edges: []fleet.EdgeState{admittedEdge(func(*fleet.EdgeState) {})}}, d))
	require.Empty(t, noEdge(reads.EdgesResult{}, defined{}))
}
