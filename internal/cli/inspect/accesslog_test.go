package inspect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/streamtest"
	"github.com/metacircular/mcp/workflows/reads"
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
	paths := func(e reads.EdgeAccessLog) int {
		a.report(e)
		return len(a.fresh(e))
	}
	away := fault.New(fault.Unavailable, "no worker polls edge-front")
	require.Equal(t, 2, paths(reads.EdgeAccessLog{Edge: "front", Lines: []string{line("1"), line("2")}}))
	require.Equal(t, 1, paths(reads.EdgeAccessLog{Edge: "back", Lines: []string{line("2")}}), "each edge has its own")
	require.Equal(t, 1, paths(reads.EdgeAccessLog{Edge: "front", Lines: []string{line("2"), line("3")}}))
	require.Equal(t, 0, paths(reads.EdgeAccessLog{Edge: "front", Error: away}))
	require.Equal(t, 0, paths(reads.EdgeAccessLog{Edge: "front", Error: away}))
	require.Equal(t, 1, paths(reads.EdgeAccessLog{Edge: "front", Lines: []string{line("3"), line("4")}}), "an absence is no reason to begin anew")
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

// edgesFound are the answers to which edges there are.
type edgesFound [][]string

func (e *edgesFound) read(_ context.Context, in reads.AccessLogInput) (result reads.AccessLogResult, err error) {
	if !in.Where {
		return reads.AccessLogResult{Edges: []reads.EdgeAccessLog{
			{Edge: "front", Lines: []string{"not by a stream"}}, {Edge: "side", Error: fault.New(fault.Unavailable, "no worker polls edge-side")},
		}}, nil
	}
	for _, name := range (*e)[0] {
		result.Edges = append(result.Edges, reads.EdgeAccessLog{Edge: name})
	}
	*e = (*e)[1:]
	return result, nil
}

// TestAccessLogsAreStreams reads those of two edges, one of which is away, and asks again
// after a while which there are.
func TestAccessLogsAreStreams(t *testing.T) {
	operator := streamtest.Behind(t, &stream.Hub{}, stream.Node{Name: "front", Role: identity.Edge, Handle: func(_ context.Context, a *stream.Accepted) (int, error) {
		if a.Header.Service == "endless" {
			_, err := io.Copy(a.Stdout(), neverending{})
			return 0, err
		}
		_, err := fmt.Fprintf(a.Stdout(), "%s %d %s\nsecond\n", a.Header.Service, a.Header.Access.Lines, a.Header.Access.Since)
		return 0, err
	}})
	found := &edgesFound{{"front", "side"}, {"front"}}
	from := &streamedEdges{ask: found, call: operator.Call}
	in := reads.AccessLogInput{Service: "shop", Tail: 7, Since: time.Minute}
	for range rounds {
		result, err := from.read(t.Context(), in)
		require.NoError(t, err)
		require.Len(t, result.Edges, 2)
		require.Equal(t, reads.EdgeAccessLog{Edge: "front", Lines: []string{"shop 7 1m0s", "second"}}, result.Edges[0])
		require.Equal(t, "no worker polls edge-side", result.Edges[1].Error.Message, "it is asked by a workflow")
	}
	result, err := from.read(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, result.Edges, 1)
	require.Empty(t, *found)

	endless := (&streamedEdges{call: operator.Call}).at(t.Context(), "front", reads.AccessLogInput{Service: "endless"})
	require.Equal(t, "it answers with more than 4 MiB", endless.Error.Message)
}

// neverending is a log without an end.
type neverending struct{}

func (neverending) Read(p []byte) (int, error) { return len(p), nil }
