package inspect

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func TestAFollowOfAnAccessLogPrintsEachLineOnce(t *testing.T) {
	var said bytes.Buffer
	a := &accessLog{
		session: &session.Session{Console: ui.Console{Stderr: &said}},
		seen:    map[string]map[string]time.Time{}, reported: map[string]string{},
	}
	line := func(second string) string {
		return `{"time":"2026-05-01T12:00:0` + second + `Z","protocol":"HTTP/1.1","client":"10.0.0.7","duration_ms":1}`
	}
	paths := func(e workflows.EdgeAccessLog) int {
		a.report(e)
		return len(a.fresh(e))
	}
	away := fault.New(fault.Unavailable, "no worker polls edge-front")
	require.Equal(t, 2, paths(workflows.EdgeAccessLog{Edge: "front", Lines: []string{line("1"), line("2")}}))
	require.Equal(t, 1, paths(workflows.EdgeAccessLog{Edge: "back", Lines: []string{line("2")}}), "each edge has its own")
	require.Equal(t, 1, paths(workflows.EdgeAccessLog{Edge: "front", Lines: []string{line("2"), line("3")}}))
	require.Equal(t, 0, paths(workflows.EdgeAccessLog{Edge: "front", Error: away}))
	require.Equal(t, 0, paths(workflows.EdgeAccessLog{Edge: "front", Error: away}))
	require.Equal(t, 1, paths(workflows.EdgeAccessLog{Edge: "front", Lines: []string{line("3"), line("4")}}), "an absence is no reason to begin anew")
	require.Equal(t, time.Date(2026, 5, 1, 12, 0, 4, 0, time.UTC), a.newest)
	require.Equal(t, "edge front: no worker polls edge-front\nedge front: it answers again\n", said.String())
}

func TestALineOfAnAccessLog(t *testing.T) {
	for want, line := range map[string]fleet.Access{
		"10.0.0.7 GET shop.example/cart 200 512B 12.3ms from 127.0.0.1:20001": {
			Protocol: "HTTP/2.0", Client: "10.0.0.7", Method: "GET", Host: "shop.example", Path: "/cart", Status: 200, Sent: 512,
			DurationMS: 12.34, Upstream: "127.0.0.1:20001",
		},
		"10.0.0.7 POST shop.example/up 502 9B in, 20B 3s connection refused": {
			Protocol: "HTTP/1.1", Client: "10.0.0.7", Method: "POST", Host: "shop.example", Path: "/up", Status: 502, Received: 9, Sent: 20,
			DurationMS: 3000, Error: "connection refused\nmore",
		},
		"10.0.0.7 tcp :5432/tcp 7B in, 8B 1h0m0s from 127.0.0.1:20002": {
			Protocol: "tcp", Endpoint: ":5432/tcp", Client: "10.0.0.7", Received: 7, Sent: 8, DurationMS: 3.6e6, Upstream: "127.0.0.1:20002",
		},
		"what is no entry": {Error: "what is no entry"},
	} {
		require.Equal(t, want, accessText(line))
	}
}
