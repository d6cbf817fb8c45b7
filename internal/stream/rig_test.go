package stream_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/stream"
)

// size is how many MiB the test of a large stream carries.
var size = flag.Int64("stream.mib", 24, "MiB of the large stream")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a door with nodes, over TLS on this machine.
type rig struct {
	hub     *stream.Hub
	door    net.Listener
	trusted *x509.CertPool

	mu     sync.Mutex
	audit  []fleet.AuditEntry
	ends   context.CancelFunc
	served sync.WaitGroup
}

// newRig starts a door. Peers say in their TLS server name who they are, which stands for
// a certificate.
func newRig(t *testing.T, change func(*stream.Hub)) *rig {
	t.Helper()
	r := &rig{hub: &stream.Hub{Allow: func(context.Context, stream.Header) error { return nil }}}
	r.hub.Audit = func(_ context.Context, e fleet.AuditEntry) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.audit = append(r.audit, e)
		return nil
	}
	if change != nil {
		change(r.hub)
	}
	certificate := newCertificate(t)
	r.trusted = x509.NewCertPool()
	r.trusted.AddCert(certificate.Leaf)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{stream.Protocol}, MinVersion: tls.VersionTLS13,
	})
	require.NoError(t, err)
	r.door = listener
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.ends = cancel
	r.served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.served.Go(func() { r.serve(ctx, conn.(*tls.Conn)) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		r.served.Wait()
	})
	return r
}

func (r *rig) serve(ctx context.Context, conn *tls.Conn) {
	if conn.HandshakeContext(ctx) != nil {
		_ = conn.Close()
		return
	}
	name := conn.ConnectionState().ServerName
	peer := stream.Peer{Who: "node/" + name, Node: name}
	if name == "anna" || name == "berta" {
		peer = stream.Peer{Who: "operator/" + name}
	}
	_ = r.hub.Serve(ctx, conn, peer)
}

// dial connects to the door.
func (r *rig) dial(ctx context.Context, as string) (net.Conn, error) {
	dialer := tls.Dialer{Config: &tls.Config{
		RootCAs: r.trusted, ServerName: as, NextProtos: []string{stream.Protocol},
	}}
	return dialer.DialContext(ctx, "tcp", r.door.Addr().String())
}

// node connects a node, and returns when the door knows it. To end it, the test ends it,
// or calls stop.
func (r *rig) node(t *testing.T, name string, handle stream.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	done.Go(func() {
		stream.Node{Name: name, Handle: handle, Dial: func(ctx context.Context) (net.Conn, error) { return r.dial(ctx, name) }}.Run(ctx)
	})
	stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(stop)
	require.Eventually(t, func() bool { return contains(r.hub.Nodes(), name) }, time.Minute, time.Millisecond)
	return stop
}

// operator opens a session.
func (r *rig) operator(t *testing.T, name string) *stream.Client {
	t.Helper()
	conn, err := r.dial(t.Context(), name)
	require.NoError(t, err)
	client, err := stream.NewClient(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func contains(list []string, name string) bool {
	for _, one := range list {
		if one == name {
			return true
		}
	}
	return false
}

// command is the header of a command in shop/app on node rift.
func command(words ...string) stream.Header {
	return stream.Header{
		Verb: stream.Exec, Node: "rift", Service: "shop", Component: "app",
		Exec: &stream.ExecRequest{Command: words, Input: true},
	}
}

func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"rift", "orion", "anna", "berta"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// recorded is the audit so far.
func (r *rig) recorded() []fleet.AuditEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]fleet.AuditEntry(nil), r.audit...)
}
