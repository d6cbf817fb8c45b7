// Package streamtest provides what tests of streams share: certificates of callers, nodes of
// a hub, and an engine in memory.
package streamtest

import (
	"cmp"
	"context"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
)

// Engine is an engine in memory, without commands, files and ports.
type Engine struct{ *runtime.Fake }

// ExecAttached runs nothing.
func (Engine) ExecAttached(context.Context, string, runtime.AttachedExec) (int, error) { return 0, nil }

// Stat finds an empty file.
func (Engine) Stat(context.Context, string, string) (f runtime.FileInfo, err error) { return f, nil }

// CopyOut copies nothing.
func (Engine) CopyOut(context.Context, string, string, io.Writer) error { return nil }

// CopyIn copies nothing.
func (Engine) CopyIn(context.Context, string, string, map[string]string, io.Reader) error { return nil }

// Files makes a certificate of an identity, whose id is its name, in a directory of its own.
func Files(t testing.TB, authority *identity.Authority, who identity.Identity) identity.Directory {
	t.Helper()
	who.ID = who.Name
	key, err := identity.NewKey()
	require.NoError(t, err)
	request, err := identity.Request(key)
	require.NoError(t, err)
	certificate, err := authority.Issue(who, request, time.Hour, time.Now())
	require.NoError(t, err)
	dir := identity.Directory(filepath.Join(t.TempDir(), who.Name))
	require.NoError(t, dir.Create(authority.Roots(), certificate, key))
	return dir
}

// Dial connects to a door for streams.
func Dial(ctx context.Context, address string, as identity.Directory) (net.Conn, error) {
	return stream.Dial(ctx, as.ClientTLS(stream.Protocol), address)
}

// Node runs a node or an edge, and returns when it is connected to the hub. It ends with the
// test, or with stop.
func Node(t testing.TB, hub *stream.Hub, node stream.Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	done.Go(func() { node.Run(ctx) })
	stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(stop)
	await(t, hub, node)
	return stop
}

// await waits until a node or an edge is connected to a hub.
func await(t testing.TB, hub *stream.Hub, node stream.Node) {
	t.Helper()
	known := hub.Nodes
	if node.Role == identity.Edge {
		known = hub.Edges
	}
	require.Eventually(t, func() bool { return slices.Contains(known(), node.Name) }, time.Minute, time.Millisecond)
}

// Behind connects a node or an edge to a hub without a door, and returns an operator there.
func Behind(t testing.TB, hub *stream.Hub, node stream.Node) *stream.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	connect := func(role identity.Role, name string) net.Conn {
		here, there := net.Pipe()
		all.Go(func() { _ = hub.Serve(ctx, there, identity.Identity{Role: role, Name: name}) })
		return here
	}
	all.Go(func() { _ = node.Serve(ctx, connect(cmp.Or(node.Role, identity.Node), node.Name)) })
	await(t, hub, node)
	client, err := stream.NewClient(ctx, connect(identity.Operator, "anna"))
	require.NoError(t, err)
	return client
}
