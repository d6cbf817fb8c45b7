package edge

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/workflows/reads"
)

// key makes the public key of an edge.
func key(t *testing.T) seal.Key {
	t.Helper()
	identity, err := seal.Load(t.TempDir() + "/key")
	require.NoError(t, err)
	return identity.Key()
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)

// fleetOf is four edges, each in another state.
func fleetOf(t *testing.T) reads.EdgesResult {
	record := func(name string) fleet.EdgeRecord {
		return fleet.EdgeRecord{Name: name, Key: key(t).String(), Version: "1.2", Hostname: name + ".example", Ports: map[int]int{443: 8443, 80: 8080}}
	}
	status := &fleet.EdgeStatus{
		Versions: map[string]int64{"shop": 7, "blog": 3}, Active: map[string]int{"10.0.0.2:20001": 3}, Listening: []int{8443, 8080}, Started: noon,
		Certificates: []fleet.Certificate{
			{Hostname: "shop.example", Issuer: "Pebble", From: noon.Add(-72 * time.Hour), Until: noon.Add(24 * 60 * time.Hour)},
			{Hostname: "blog.example", Problem: "urn:ietf:params:acme:error:dns: no address\nmore", Failed: noon},
		},
		Problems: []string{"port 22 is taken"},
	}
	return reads.EdgesResult{
		Edges: []fleet.EdgeState{
			{EdgeRecord: record("away"), Admitted: noon, Stale: []string{"shop"}},
			{EdgeRecord: record("new"), Seen: noon},
			{
				EdgeRecord: record("old"), Admitted: noon, Seen: noon, Stale: []string{"new-one", "shop"}, Unknown: []string{"blog"}, Status: status,
				Problems: map[string][]string{"shop": {"port 22 is taken", "shop is not on disk"}, "blog": {"port 80 is taken"}},
			},
			{EdgeRecord: record("sound"), Admitted: noon, Seen: noon, Status: status},
		},
		Silent: map[string]*fault.Error{"away": fault.New(fault.Unavailable, "no worker polls edge-away")},
	}
}

func TestTheListOfEdges(t *testing.T) {
	routes := []reads.PublishedRoute{{Service: "shop"}, {Service: "shop"}, {Service: "blog"}}
	list := listed(fleetOf(t), routes)
	var states []string
	var counted []int
	for _, e := range list {
		states, counted = append(states, e.State), append(counted, e.Routes)
	}
	require.Equal(t, []string{"away", "waiting", "stale", "admitted"}, states)
	require.Equal(t, []int{1, 0, 1, 3}, counted, "a stale edge has the routes of the other services")
	require.Equal(t, []string{"blog.example"}, list[2].Failing)

	var out bytes.Buffer
	require.NoError(t, writeList(&out, list))
	text := squeezed(out.String())
	for _, line := range []string{
		"EDGE STATE MCP HOST PORTS ROUTES CERTIFICATES SEEN",
		"away away, stale 1.2 away.example 80→8080 443→8443 1 - -",
		"new waiting for admission 1.2 new.example 80→8080 443→8443 - - 2026-05-01 12:00:00",
		"old stale 1.2 old.example 80→8080 443→8443 1 2, 1 failing 2026-05-01 12:00:00",
		"old: it serves blog as the registry does not have it: that was restored, or emptied",
		"old: port 22 is taken",
		"old: shop is not on disk",
	} {
		require.Contains(t, text, line+"\n")
	}
	out.Reset()
	require.NoError(t, writeList(&out, listed(reads.EdgesResult{}, nil)))
	require.Equal(t, "no edge has announced itself yet\n", out.String())
}

func TestEverythingThatIsKnownOfAnEdge(t *testing.T) {
	all := fleetOf(t)
	show := func(name string) string {
		e, err := find(all, name)
		require.NoError(t, err)
		var out bytes.Buffer
		writeEdge(&session.Session{Console: ui.Console{Stdout: &out}}, shownOf(e, all.Silent[name]), noon)
		return squeezed(out.String())
	}
	text := show("old")
	for _, line := range []string{
		"state stale",
		"fingerprint " + fingerprint(all.Edges[2].Key),
		"mcp-edge mcp 1.2, started 2026-05-01 12:00:00",
		"listens on 8080 8443",
		"publication blog, version 3, which the registry does not have: it was restored, or emptied",
		"publication new-one, stale: it has none",
		"publication shop, version 7, stale: there is a newer one",
		"certificate shop.example: by Pebble, 3 days old, until 2026-06-30 12:00:00 (60 days)",
		"certificate blog.example: none yet",
		" failed 2026-05-01 12:00:00: urn:ietf:params:acme:error:dns: no address",
		"active 10.0.0.2:20001: 3",
		"problem port 22 is taken",
		"problem shop is not on disk",
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "port 80 is taken", "it is not any more")
	require.Contains(t, show("away"), "state away\n no worker polls edge-away\n")
	require.Contains(t, show("new"), "admission none: mcp edge admit new\n")

	_, err := find(all, "sounnd")
	require.ErrorContains(t, err, "no edge is called sounnd")
	require.Contains(t, fault.Of(err).Hint, "did you mean sound?")
}

func TestAnExpiredCertificate(t *testing.T) {
	require.Equal(t, "expired 2026-05-01 12:00:00", untilText(noon, noon.Add(time.Hour)))
	require.Equal(t, "until 2026-05-01 12:00:00 (1h0m0s)", untilText(noon, noon.Add(-time.Hour)))
}

func TestOnlyTheKeyThatTheOperatorNamesIsAdmitted(t *testing.T) {
	own, other := key(t), key(t)
	for name, test := range map[string]struct {
		options admitOptions
		refused bool
	}{
		"none named":             {admitOptions{}, false},
		"its key":                {admitOptions{key: own.String()}, false},
		"its fingerprint":        {admitOptions{fingerprint: own.Fingerprint()}, false},
		"in capitals and groups": {admitOptions{fingerprint: strings.ToUpper(strings.ReplaceAll(own.Fingerprint(), "-", " "))}, false},
		"another key":            {admitOptions{key: other.String()}, true},
		"another fingerprint":    {admitOptions{fingerprint: other.Fingerprint()}, true},
		"half a fingerprint":     {admitOptions{fingerprint: own.Fingerprint()[:20]}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := fleet.EdgeState{EdgeRecord: fleet.EdgeRecord{Name: "front", Key: own.String()}}
			err := test.options.check(e, own)
			if !test.refused {
				require.NoError(t, err)
				return
			}
			require.True(t, fault.Is(err, fault.Conflict), err)
			require.ErrorContains(t, err, "its fingerprint is "+own.Fingerprint()+", not ")
			require.Contains(t, fault.Of(err).Hint, "another host calls itself front")
			e.Admitted = noon
			require.Contains(t, fault.Of(test.options.check(e, own)).Hint, "mcp edge remove front")
		})
	}
}

func TestTheListOfRoutes(t *testing.T) {
	route := func(service, hostname, url string, change func(*fleet.EdgeRoute)) reads.PublishedRoute {
		r := reads.PublishedRoute{Service: service, URL: url, EdgeRoute: fleet.EdgeRoute{
			Endpoint:   fleet.Endpoint{Port: 443, Protocol: fleet.ProtocolHTTP, Hostname: hostname},
			Components: []string{"web"}, Name: "http", Upstreams: []string{"10.0.0.2:20001"},
		}}
		change(&r.EdgeRoute)
		return r
	}
	list := listedRoutes([]reads.PublishedRoute{
		route("shop", "shop.example", "https://shop.example", func(r *fleet.EdgeRoute) {
			r.BasicAuth, r.Compress = map[string]string{"ann": "$2a$10$secret"}, true
		}),
		route("shop", "www.shop.example", "https://www.shop.example", func(r *fleet.EdgeRoute) { r.Redirect, r.Upstreams = "shop.example", nil }),
		route("blog", "blog.example", "https://blog.example", func(r *fleet.EdgeRoute) { r.Held = true }),
		route("down", "down.example", "https://down.example", func(r *fleet.EdgeRoute) { r.Upstreams = nil }),
		route("dns", "", "", func(r *fleet.EdgeRoute) { r.Endpoint = fleet.Endpoint{Port: 53, Protocol: fleet.ProtocolUDP} }),
		route("busy", "busy.example", "https://busy.example", func(r *fleet.EdgeRoute) { r.Maintenance, r.Held = true, true }),
	}, fleetOf(t).Edges)
	var out bytes.Buffer
	require.NoError(t, writeRoutes(&out, list))
	text := squeezed(out.String())
	for _, line := range []string{
		"URL SERVICE ROUTE STATE UPSTREAMS OPTIONS EDGES",
		"https://shop.example shop web/http serving 10.0.0.2:20001 compress, basic_auth sound away (stale) old (stale)",
		"https://www.shop.example shop web/http serving → shop.example - sound away (stale) old (stale)",
		"https://blog.example blog web/http held 10.0.0.2:20001 - away old sound",
		"https://down.example down web/http down - - away old sound",
		":53/udp dns web/http serving 10.0.0.2:20001 - away old sound",
		"https://busy.example busy web/http maintenance 10.0.0.2:20001 - away old sound",
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "secret")
}

// squeezed is text with one space between the columns of a table.
func squeezed(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		words := strings.Join(strings.Fields(line), " ")
		if strings.HasPrefix(line, " ") {
			words = " " + words
		}
		lines = append(lines, words+"\n")
	}
	return strings.Join(lines, "")
}
