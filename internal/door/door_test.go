package door_test

import (
	"crypto/tls"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

func TestCallersAreKnown(t *testing.T) {
	r := start(t, nil)
	for _, who := range []identity.Identity{rift, anna} {
		d := r.joined(who)
		_, err := r.client(d).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, who, <-r.api.callers)

		conn := r.stream(d)
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		answer := make([]byte, 5)
		_, err = conn.Read(answer)
		require.NoError(t, err)
		require.Equal(t, "hello", string(answer))
		require.Equal(t, who, <-r.echo.sessions)
	}
	require.Equal(t, 1, r.State().Events[door.Event{What: "join", Role: "node"}])
	require.Equal(t, 2, r.State().Connections["node"])

	t.Run("one without a certificate, or with one of another authority, is not", func(t *testing.T) {
		other := start(t, nil).joined(anna)
		config := other.ClientTLS("h2")
		config.VerifyConnection = nil
		for name, config := range map[string]*tls.Config{
			"none": {InsecureSkipVerify: true, NextProtos: []string{"h2"}}, "another": config,
			"streams": {InsecureSkipVerify: true, NextProtos: []string{door.StreamProtocol}},
		} {
			conn, err := tls.Dial("tcp", r.address, config)
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			require.ErrorContains(t, err, "remote error: tls: ", name)
		}
		_, err := r.client(other).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.ErrorContains(t, err, "this is not the gateway of the authority")
	})

	t.Run("nor is one that names no protocol, or all of them", func(t *testing.T) {
		d := r.joined(anna)
		conn, err := tls.Dial("tcp", r.address, d.ClientTLS())
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		require.Error(t, err)
		config := d.ClientTLS(enrol.Protocol, "h2")
		config.GetClientCertificate = nil
		conn, err = tls.Dial("tcp", r.address, config)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		require.ErrorContains(t, err, "remote error: tls: ")
	})
}

// TestRevocation revokes an identity that has a call and a stream open: both end, and
// those of another one stay.
func TestRevocation(t *testing.T) {
	r := start(t, nil)
	riftDir, annaDir := r.joined(rift), r.joined(anna)
	type open struct {
		watch  grpc.ServerStreamingClient[healthpb.HealthCheckResponse]
		stream *tls.Conn
	}
	connect := func(d identity.Directory) open {
		watch, err := r.client(d).Watch(bounded(t), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		_, err = watch.Recv()
		require.NoError(t, err)
		<-r.api.callers
		conn := r.stream(d)
		<-r.echo.sessions
		return open{watch, conn}
	}
	revoked, stays := connect(riftDir), connect(annaDir)
	r.revoke("1")
	r.Refresh(bounded(t))
	_, err := revoked.watch.Recv()
	require.Error(t, err)
	_, err = revoked.stream.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = stays.stream.Write([]byte("x"))
	require.NoError(t, err)
	_, err = stays.stream.Read(make([]byte, 1))
	require.NoError(t, err)

	_, err = r.client(riftDir).Check(bounded(t), &healthpb.HealthCheckRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
	require.ErrorContains(t, err, "the identity node/rift is revoked; an operator can create it anew: mcp identity create node rift")
	_, err = r.client(annaDir).Check(bounded(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)

	r.forget()
	r.Refresh(bounded(t))
	_, err = r.client(riftDir).Check(bounded(t), &healthpb.HealthCheckRequest{})
	require.ErrorContains(t, err, "the identity node/rift is revoked", "a registry of an earlier time changes nothing")

	r.empty()
	r.Refresh(bounded(t))
	list, err := r.Identities(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1, "a registry that was emptied gets back who is connected, and not who is revoked")
	require.Equal(t, "operator/anna", list[0].String())
	vega := r.joined(identity.Identity{Role: identity.Node, Name: "vega", ID: "3"})
	r.empty()
	require.NoError(t, enrol.Renew(bounded(t), []string{r.address}, vega), "and who renews")
}

// TestTimes has a gateway whose clock is wrong, which is what a client with a wrong clock
// sees.
func TestTimes(t *testing.T) {
	t.Run("a clock that is an hour off is named before the token is used", func(t *testing.T) {
		for offset, want := range map[time.Duration]string{
			time.Hour: "this machine's clock is 1 h 0 min behind the gateway's", -time.Hour: "this machine's clock is 1 h 0 min ahead of the gateway's",
		} {
			r := start(t, func(o *door.Options) { o.Now = func() time.Time { return time.Now().Add(offset + offset/1000) } })
			token := r.token(rift)
			_, err := enrol.Join(bounded(t), token)
			require.ErrorContains(t, err, want)
			require.Empty(t, r.used)
		}
	})
	t.Run("a certificate that has ended is refused with the times, and its clock is measured", func(t *testing.T) {
		var offset time.Duration
		var mu sync.Mutex
		r := start(t, func(o *door.Options) {
			o.Now = func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(offset)
			}
		})
		d := r.joined(rift)
		conn := r.stream(d)
		<-r.echo.sessions
		mu.Lock()
		offset = identity.DefaultLife + time.Hour
		mu.Unlock()
		r.Refresh(bounded(t))
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err, "what was open ends with the certificate")

		config := d.ClientTLS()
		config.VerifyConnection = nil // this client's clock is right, by its own account
		c, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
		require.NoError(t, err)
		defer c.Close()
		_, err = healthpb.NewHealthClient(c).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
		require.ErrorContains(t, err, "the certificate of node/rift ended at ")
		ours, theirs, err := enrol.Clock(bounded(t), []string{r.address}, d)
		require.NoError(t, err)
		require.Equal(t, "this machine's clock is 7 days behind the gateway's", identity.Difference(ours, theirs))
	})
}
