package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/identity"
	engine "github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/serve"
	"github.com/metacircular/mcp/internal/stream/streamtest"
)

// unrevoked is a registry of which only the list of revoked identities is read.
type unrevoked struct{ door.Store }

func (unrevoked) RevokedIdentities(context.Context) ([]string, error) { return nil, nil }

// healthy serves the health of gRPC.
type healthy struct{}

func (healthy) ServerOptions() []grpc.ServerOption { return nil }
func (healthy) Register(r grpc.ServiceRegistrar) {
	healthpb.RegisterHealthServer(r, health.NewServer())
}

// fleet is a gateway with one node.
type fleet struct {
	*testing.T
	*engine.Fake
	authority *identity.Authority
	address   string
}

func newFleet(t *testing.T) *fleet {
	authority, err := identity.NewAuthority(time.Now())
	require.NoError(t, err)
	f := &fleet{T: t, Fake: engine.NewFake(), authority: authority}
	hub := &stream.Hub{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.address = l.Addr().String()
	d, err := door.New(door.Options{Authorities: identity.Authorities{Current: authority}, Store: unrevoked{}, API: healthy{}, Streams: hub, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	node := &activities.Node{Name: "rift", Runtime: f.Fake, Fence: activities.NewFence(), Slots: activities.NewSlots()}
	served := serve.New(streamtest.Engine{Fake: f.Fake}, activities.NewDirect(node), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { d.Serve(ctx, l, time.Second) })
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	files := streamtest.Files(t, authority, identity.Identity{Role: identity.Node, Name: "rift"})
	streamtest.Node(t, hub, stream.Node{Name: "rift", Handle: served.Handle, Dial: func(ctx context.Context) (net.Conn, error) {
		return streamtest.Dial(ctx, f.address, files)
	}})
	return f
}

// follow connects as a command that follows shop/app does: once for calls, and once for
// streams.
func (f *fleet) follow(as identity.Directory) *stream.Call {
	f.Helper()
	calls, err := grpc.NewClient(f.address, grpc.WithTransportCredentials(credentials.NewTLS(as.ClientTLS())))
	require.NoError(f, err)
	f.Cleanup(func() { _ = calls.Close() })
	_, err = healthpb.NewHealthClient(calls).Check(f.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(f, err)
	conn, err := streamtest.Dial(f.Context(), f.address, as)
	require.NoError(f, err)
	client, err := stream.NewClient(f.Context(), conn)
	require.NoError(f, err)
	f.Cleanup(client.Close)
	call, err := client.Call(f.Context(), stream.Header{
		Verb: stream.Logs, Node: "rift", Service: "shop", Component: "app", Logs: &stream.LogsRequest{Lines: 1, Follow: true},
	})
	require.NoError(f, err)
	for note := (stream.Note{}); !note.Read; {
		_, note, err = call.NextOutput()
		require.NoError(f, err)
	}
	return call
}

// count reads numbered lines, and fails where one is missing or comes twice.
func count(call *stream.Call, lines int) error {
	for n := 0; n < lines; {
		batch, _, err := call.NextOutput()
		if err != nil {
			return fmt.Errorf("after %d lines: %w", n, err)
		}
		for _, line := range batch.Lines {
			if line.Text != number(n) {
				return fmt.Errorf("line %d is %.20q", n, line.Text)
			}
			n++
		}
	}
	return nil
}

// number is the n-th line, of 100 bytes.
func number(n int) string { return fmt.Sprintf("%0100d", n) }

// inUse is the memory of this process that is in use, in bytes.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestTwoHundredFollowers has one operator follow an output with 200 commands, each with
// connections of its own. The first reads nothing until the others have everything; a
// reader floods the gateway meanwhile.
func TestTwoHundredFollowers(t *testing.T) {
	f := newFleet(t)
	const followers, lines = 200, 5000
	f.AddImages("shop:v1")
	_, err := f.Fake.Run(t.Context(), engine.ContainerSpec{
		Name: "shop-app", Image: "shop:v1", Labels: map[string]string{engine.LabelService: "shop", engine.LabelComponent: "app"},
	})
	require.NoError(t, err)
	anna := streamtest.Files(t, f.authority, identity.Identity{Role: identity.Operator, Name: "anna"})
	slow := f.follow(anna)
	before := inUse()
	var calls []*stream.Call
	for range followers - 1 {
		calls = append(calls, f.follow(anna))
	}
	each := (inUse() - before) / (followers - 1)
	t.Logf("a follower takes %d KB of memory: the ends of its two connections and of its stream, at the gateway, the node and itself", each>>10)
	require.Less(t, each, int64(1<<20))

	flooding, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	eve := streamtest.Files(t, f.authority, identity.Identity{Role: identity.Reader, Name: "eve", Services: []string{"blog"}})
	for range 4 {
		flood.Go(func() {
			for flooding.Err() == nil {
				if conn, err := streamtest.Dial(flooding, f.address, eve); err == nil {
					flood.Go(func() {
						defer conn.Close()
						<-flooding.Done()
					})
				}
			}
		})
	}
	var all sync.WaitGroup
	for _, call := range calls {
		all.Go(func() { assert.NoError(t, count(call, lines)) })
	}
	began := time.Now()
	for n := range lines {
		f.Print("shop-app", number(n))
	}
	all.Wait()
	t.Logf("%d followers had %d lines of 100 bytes after %.1f s, beside a flood of connections", followers-1, lines, time.Since(began).Seconds())
	stop()
	flood.Wait()
	require.NoError(t, count(slow, lines))
}
