package door_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// TestConnectionsAreBoundedByRole fills the connections of a node and of a reader. Each
// hears why it has no more, as often as that is said; others are served meanwhile.
func TestConnectionsAreBoundedByRole(t *testing.T) {
	r := start(t, nil)
	eve := identity.Identity{Role: identity.Reader, Name: "eve", ID: "3", Services: []string{"shop"}}
	annaDir, orionDir := r.joined(anna), r.joined(identity.Identity{Role: identity.Node, Name: "orion", ID: "4"})
	for who, c := range map[*identity.Identity]struct {
		most int
		code codes.Code
	}{&rift: {64, codes.Unavailable}, &eve: {1024, codes.PermissionDenied}} {
		d := r.joined(*who)
		for range c.most {
			r.stream(d)
			<-r.echo.sessions
		}
		says := fmt.Sprintf("%s has %d open connections to this gateway, and may have no more", who, c.most)
		_, err := r.client(d).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.Equal(t, c.code, status.Code(err), err)
		require.ErrorContains(t, err, says)
		text, err := io.ReadAll(r.stream(d))
		require.NoError(t, err)
		require.Equal(t, says, string(text))
		before := r.State().Connections[string(who.Role)]
		// A flood is turned away without a word, and is not counted among those that are open.
		for range 200 {
			conn, err := tls.Dial("tcp", r.address, d.ClientTLS("h2"))
			if err == nil {
				t.Cleanup(func() { _ = conn.Close() })
			}
		}
		require.Equal(t, before, r.State().Connections[string(who.Role)])
		for _, other := range []identity.Directory{annaDir, orionDir} {
			_, err = r.client(other).Check(bounded(t), &healthpb.HealthCheckRequest{})
			require.NoError(t, err)
			<-r.api.callers
		}
	}
}

// TestSilentConnectionsAreBounded has one address open as many connections as may shake hands
// at once, without a word: others come through.
func TestSilentConnectionsAreBounded(t *testing.T) {
	r := start(t, nil)
	d := r.joined(rift)
	for range 128 {
		conn, err := net.Dial("tcp", r.address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", r.address, d.ClientTLS(door.StreamProtocol))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, time.Minute, time.Millisecond)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := tls.DialWithDialer(dialer, "tcp", r.address, d.ClientTLS(door.StreamProtocol))
	require.NoError(t, err)
	_ = conn.Close()
}

// TestStrangersAreBounded opens as many connections for joining as are accepted: one more is
// closed, known callers are served, and joining goes on when the others have gone.
func TestStrangersAreBounded(t *testing.T) {
	r := start(t, nil)
	d := r.joined(rift)
	var open []*tls.Conn
	stranger := func() (*tls.Conn, error) {
		conn, err := tls.Dial("tcp", r.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{enrol.Protocol}})
		if err != nil {
			return nil, err
		}
		var greeting enrol.Greeting
		return conn, enrol.Read(conn, &greeting, enrol.MaxRequest)
	}
	for range 64 {
		conn, err := stranger()
		require.NoError(t, err)
		open = append(open, conn)
	}
	_, err := stranger()
	require.Error(t, err)
	_, err = r.client(d).Check(bounded(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	token := r.token(anna)
	for _, conn := range open {
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool {
		_, err := enrol.Join(bounded(t), token)
		return err == nil
	}, time.Minute, 50*time.Millisecond)
}
