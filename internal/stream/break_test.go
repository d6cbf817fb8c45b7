package stream_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
)

// A connection that is cut after any number of bytes, that of the operator or that of the
// node, is an error at the operator, whatever has arrived before; and the node ends what
// it did.
func TestCutAnywhere(t *testing.T) {
	r := newRig(t, nil)
	const bytes = 512 << 10
	rift, anna := r.files(t, node("rift")), r.files(t, operator("anna"))
	var serving sync.WaitGroup
	handle := func(ctx context.Context, a *stream.Accepted) (int, error) {
		serving.Add(1)
		defer serving.Done()
		if err := a.Start(); err != nil {
			return 0, err
		}
		if _, err := pour(a.Stdout(), 1, bytes); err != nil {
			return 0, err
		}
		<-ctx.Done() // the end would come after everything
		return 0, context.Cause(ctx)
	}
	for _, cut := range []struct {
		whose string
		after int64
	}{
		{"operator", 0}, {"operator", 30}, {"operator", 1 << 10}, {"operator", 100_001}, {"operator", bytes - 1},
		{"node", 30}, {"node", 1 << 10}, {"node", 100_001}, {"node", bytes - 1},
	} {
		ended := make(chan struct{})
		limits := map[string]int64{"operator": 1 << 40, "node": 1 << 40, cut.whose: cut.after}
		conn, err := r.dial(t.Context(), rift)
		require.NoError(t, err)
		nodes := conn
		serving.Go(func() {
			defer close(ended)
			// What the node sends is cut, and what the operator receives.
			_ = stream.Node{Name: "rift", Handle: handle}.Serve(t.Context(), &cutConn{Conn: nodes, writes: limits["node"], reads: 1 << 40})
		})
		require.Eventually(t, func() bool { return slices.Contains(r.hub.Nodes(), "rift") }, time.Minute, time.Millisecond)
		conn, err = r.dial(t.Context(), anna)
		require.NoError(t, err)
		client, err := stream.NewClient(t.Context(), &cutConn{Conn: conn, reads: limits["operator"], writes: 1 << 40})
		require.NoError(t, err)
		got := newHashed()
		call, err := client.Call(t.Context(), command("dump"))
		if err == nil {
			_, err = call.Receive(got, io.Discard)
		}
		require.True(t, fault.Is(err, fault.Unavailable), "%s after %d: %v", cut.whose, cut.after, err)
		require.LessOrEqual(t, got.count, int64(bytes))
		client.Close()
		_ = nodes.Close()
		<-ended
		require.Eventually(t, func() bool { return len(r.hub.Nodes()) == 0 }, time.Minute, time.Millisecond)
	}
	serving.Wait()
}

// cutConn closes itself after so many bytes.
type cutConn struct {
	net.Conn
	reads, writes int64
	read, written atomic.Int64
}

func (c *cutConn) Read(p []byte) (int, error) {
	left := c.reads - c.read.Load()
	if left <= 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.read.Add(int64(n))
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	left := c.writes - c.written.Load()
	if left <= 0 {
		_ = c.Close()
		return 0, io.ErrClosedPipe
	}
	n, err := c.Conn.Write(p[:min(int64(len(p)), left)])
	c.written.Add(int64(n))
	if err == nil && n < len(p) {
		_ = c.Close()
		err = io.ErrClosedPipe
	}
	return n, err
}

// A door that ends breaks every stream, and nodes connect again.
func TestDoorEnds(t *testing.T) {
	r := newRig(t, nil)
	r.node(t, "rift", func(ctx context.Context, a *stream.Accepted) (int, error) {
		err := a.Start()
		<-ctx.Done()
		return 0, err
	})
	call, err := r.operator(t, "anna").Call(t.Context(), command("wait"))
	require.NoError(t, err)
	r.ends()
	_, err = call.Receive(io.Discard, io.Discard)
	require.True(t, fault.Is(err, fault.Unavailable), err)
}

// A node that connects again serves, whether the door knows that the old connection is
// broken or not.
func TestNodeConnectsAgain(t *testing.T) {
	r := newRig(t, nil)
	handle := func(context.Context, *stream.Accepted) (int, error) { return 7, nil }
	for range 6 { // more than are kept
		r.node(t, "rift", handle)
	}
	anna := r.operator(t, "anna")
	stop := r.node(t, "rift", handle)
	for range 2 {
		call, err := anna.Call(t.Context(), command("run"))
		require.NoError(t, err)
		code, err := call.Receive(io.Discard, io.Discard)
		require.NoError(t, err)
		require.Equal(t, 7, code)
		stop()
	}
}
