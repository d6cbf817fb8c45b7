package stream_test

import (
	"context"
	"crypto/tls"
	"flag"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/streamtest"
)

// size is how many MiB the test of a large stream carries.
var size = flag.Int64("stream.mib", 24, "MiB of the large stream")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a door with nodes, over TLS on this machine, with certificates of its own.
type rig struct {
	hub       *stream.Hub
	door      net.Listener
	authority *identity.Authority

	mu     sync.Mutex
	audit  []fleet.AuditEntry
	ends   context.CancelFunc
	served sync.WaitGroup
}

func newRig(t *testing.T, change func(*stream.Hub)) *rig {
	t.Helper()
	r := &rig{hub: &stream.Hub{}}
	r.hub.Audit = func(_ context.Context, e fleet.AuditEntry) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.audit = append(r.audit, e)
		return nil
	}
	if change != nil {
		change(r.hub)
	}
	var err error
	r.authority, err = identity.NewAuthority(time.Now())
	require.NoError(t, err)
	chain, key, err := r.authority.Server(time.Now())
	require.NoError(t, err)
	certificate := tls.Certificate{PrivateKey: key}
	for _, c := range chain {
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	r.door, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{stream.Protocol}, MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.ends = cancel
	r.served.Go(func() {
		for {
			conn, err := r.door.Accept()
			if err != nil {
				return
			}
			r.served.Go(func() { r.serve(ctx, conn.(*tls.Conn)) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = r.door.Close()
		r.served.Wait()
	})
	return r
}

func (r *rig) serve(ctx context.Context, conn *tls.Conn) {
	defer conn.Close()
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	who, _, err := r.authority.Roots().Caller(conn.ConnectionState(), time.Now())
	if err == nil {
		_ = r.hub.Serve(ctx, conn, who)
	}
}

// files makes the certificate of an identity, in a directory.
func (r *rig) files(t *testing.T, who identity.Identity) identity.Directory {
	t.Helper()
	return streamtest.Files(t, r.authority, who)
}

// dial connects to the door.
func (r *rig) dial(ctx context.Context, as identity.Directory) (net.Conn, error) {
	return streamtest.Dial(ctx, r.door.Addr().String(), as)
}

// node connects a node, and returns when the door knows it. To end it, the test ends it,
// or calls stop.
func (r *rig) node(t *testing.T, name string, handle stream.Handler) (stop func()) {
	t.Helper()
	files := r.files(t, node(name))
	return streamtest.Node(t, r.hub, stream.Node{Name: name, Handle: handle, Dial: func(ctx context.Context) (net.Conn, error) { return r.dial(ctx, files) }})
}

func node(name string) identity.Identity { return identity.Identity{Role: identity.Node, Name: name} }

func operator(name string) identity.Identity {
	return identity.Identity{Role: identity.Operator, Name: name}
}

// operator opens a session of an operator.
func (r *rig) operator(t *testing.T, name string) *stream.Client {
	t.Helper()
	return r.client(t, operator(name))
}

// client opens a session.
func (r *rig) client(t *testing.T, who identity.Identity) *stream.Client {
	t.Helper()
	conn, err := r.dial(t.Context(), r.files(t, who))
	require.NoError(t, err)
	client, err := stream.NewClient(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// command is the header of a command in shop/app on node rift.
func command(words ...string) stream.Header {
	return stream.Header{
		Verb: stream.Exec, Node: "rift", Service: "shop", Component: "app",
		Exec: &stream.ExecRequest{Command: words, Input: true},
	}
}

// recorded is the audit so far.
func (r *rig) recorded() []fleet.AuditEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]fleet.AuditEntry(nil), r.audit...)
}
