package door_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
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
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// store is a registry of identities in memory.
type store struct {
	mu      sync.Mutex
	tokens  map[string]identity.Identity
	used    map[string]string
	created map[string]identity.Creation
	audit   []fleet.AuditEntry
	revoked []string
	away    error
}

func (s *store) RevokedIdentities(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked, s.away
}

func (s *store) UseToken(_ context.Context, use identity.TokenUse, audit func(identity.Identity) []fleet.AuditEntry) (identity.Enrolled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, ok := s.tokens[use.Hash]
	switch key, used := s.used[use.Hash]; {
	case s.away != nil:
		return identity.Enrolled{}, s.away
	case !ok || used && key != use.Key:
		return identity.Enrolled{}, fault.New(fault.Unauthorized, "the token is not valid")
	}
	s.used[use.Hash] = use.Key
	s.audit = append(s.audit, audit(who)...)
	return identity.Enrolled{Identity: who, Life: use.Life}, nil
}

func (s *store) RenewIdentity(_ context.Context, id string, life time.Duration, _ string) (identity.Enrolled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range s.tokens {
		if who.ID == id {
			return identity.Enrolled{Identity: who, Life: life}, s.away
		}
	}
	return identity.Enrolled{}, fault.New(fault.Unauthorized, "the identity is not known")
}

func (s *store) CreateIdentity(_ context.Context, c identity.Creation, _ string, audit []fleet.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[c.Hash] = c.Identity
	s.created[c.Identity.String()] = c
	s.audit = append(s.audit, audit...)
	return s.away
}

func (s *store) RevokeIdentity(_ context.Context, role identity.Role, name, _ string, audit []fleet.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, who := range s.tokens {
		if who.Role == role && who.Name == name {
			s.revoked = append(s.revoked, who.ID)
			s.audit = append(s.audit, audit...)
			return nil
		}
	}
	return fault.New(fault.NotFound, "there is no identity %s/%s", role, name)
}

func (s *store) Identities(context.Context) ([]identity.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []identity.Record
	for _, who := range s.tokens {
		list = append(list, identity.Record{Identity: who})
	}
	return list, s.away
}

func (s *store) revoke(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = append(s.revoked, id)
}

// forget has the registry be as it was before anyone was revoked.
func (s *store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = nil
}

func (s *store) goAway(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

// api serves the health of gRPC; it passes the callers of Watch on.
type api struct {
	healthpb.UnimplementedHealthServer
	callers chan identity.Identity
}

func (*api) ServerOptions() []grpc.ServerOption { return nil }
func (a *api) Register(r grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(r, a) }
func (a *api) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	who, ok := identity.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no caller")
	}
	a.callers <- who
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// Watch is open until its connection ends.
func (a *api) Watch(_ *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	who, _ := identity.FromContext(stream.Context())
	a.callers <- who
	if err := stream.Send(&healthpb.HealthCheckResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// echo serves streams by sending back what it reads.
type echo struct{ sessions chan identity.Identity }

func (e *echo) Serve(_ context.Context, conn net.Conn, who identity.Identity) error {
	e.sessions <- who
	buffer := make([]byte, 1024)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return err
		}
	}
}

// Refuse writes the reason.
func (e *echo) Refuse(conn net.Conn, _ identity.Identity, reason error) {
	_, _ = conn.Write([]byte(reason.Error()))
}

// rig is a gateway on loopback.
type rig struct {
	*testing.T
	*store
	*door.Door
	authority *identity.Authority
	api       *api
	echo      *echo
	address   string
}

func start(t *testing.T, change func(*door.Options)) *rig {
	t.Helper()
	authority, err := identity.NewAuthority(time.Now())
	require.NoError(t, err)
	r := &rig{T: t, store: &store{tokens: map[string]identity.Identity{}, used: map[string]string{}, created: map[string]identity.Creation{}}, authority: authority,
		api: &api{callers: make(chan identity.Identity, 8)}, echo: &echo{sessions: make(chan identity.Identity, 8)}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.address = l.Addr().String()
	o := door.Options{Authorities: identity.Authorities{Current: authority}, Store: r.store, Doors: []string{r.address}, API: r.api, Streams: r.echo, Version: "test",
		Logger: slog.New(slog.DiscardHandler), Refresh: time.Hour}
	if change != nil {
		change(&o)
	}
	r.Door, err = door.New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Serve(ctx, l, time.Second)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

// token is one for an identity.
func (r *rig) token(who identity.Identity) identity.Token {
	secret, hash := identity.NewSecret()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[hash] = who
	return identity.Token{Role: who.Role, Name: who.Name, Door: []string{r.address}, Authority: r.authority.Fingerprint(), Secret: secret}
}

// joined is the directory of a machine that has joined.
func (r *rig) joined(who identity.Identity) identity.Directory {
	r.Helper()
	j, err := enrol.Join(context.Background(), r.token(who))
	require.NoError(r, err)
	require.Equal(r, who, j.Identity)
	d := identity.Directory(filepath.Join(r.TempDir(), "identity"))
	require.NoError(r, j.Save(d))
	return d
}

func (r *rig) client(d identity.Directory) healthpb.HealthClient {
	r.Helper()
	c, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(credentials.NewTLS(d.ClientTLS())))
	require.NoError(r, err)
	r.Cleanup(func() { _ = c.Close() })
	return healthpb.NewHealthClient(c)
}

func (r *rig) stream(d identity.Directory) *tls.Conn {
	r.Helper()
	c, err := tls.Dial("tcp", r.address, d.ClientTLS(door.StreamProtocol))
	require.NoError(r, err)
	require.NoError(r, c.SetDeadline(time.Now().Add(2*time.Minute)))
	r.Cleanup(func() { _ = c.Close() })
	return c
}

var (
	rift = identity.Identity{Role: identity.Node, Name: "rift", ID: "1"}
	anna = identity.Identity{Role: identity.Operator, Name: "anna", ID: "2"}
)

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

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

func TestTokens(t *testing.T) {
	r := start(t, nil)
	token := r.token(rift)
	_, err := enrol.Join(bounded(t), token)
	require.NoError(t, err)
	_, err = enrol.Join(bounded(t), token)
	require.True(t, fault.Is(err, fault.Unauthorized), "a second machine: %v", err)

	other := r.token(rift)
	other.Authority = identity.HashSecret(nil)
	_, err = enrol.Join(bounded(t), other)
	require.ErrorContains(t, err, "has another authority than the token names")
	require.NotContains(t, r.used, identity.HashSecret(other.Secret), "the token was not sent")

	t.Run("while Postgres is away, joins wait and say nothing of it", func(t *testing.T) {
		token, d := r.token(anna), r.joined(rift)
		r.goAway(fault.New(fault.Unavailable, "connect to 10.9.8.7: connection refused"))
		_, err := enrol.Join(bounded(t), token)
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.NotContains(t, err.Error(), "10.9.8.7")
		r.Refresh(bounded(t))
		_, err = r.client(d).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.NoError(t, err, "a known identity works")
		require.Equal(t, rift, <-r.api.callers)
		require.ErrorContains(t, r.State().ListError, "10.9.8.7")
		r.goAway(nil)
		_, err = enrol.Join(bounded(t), token)
		require.NoError(t, err)
	})
}

func TestRenewal(t *testing.T) {
	r := start(t, nil)
	d := r.joined(rift)
	before, err := d.Read()
	require.NoError(t, err)
	require.NoError(t, enrol.Renew(bounded(t), []string{"127.0.0.1:1", r.address}, d))
	after, err := d.Read()
	require.NoError(t, err)
	require.NotEqual(t, before.Certificate.SerialNumber, after.Certificate.SerialNumber)
	require.Equal(t, rift, after.Identity)

	r.revoke("1")
	r.Refresh(bounded(t))
	err = enrol.Renew(bounded(t), []string{r.address}, d)
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	require.ErrorContains(t, err, "the identity node/rift is revoked")
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
}

// TestOperatorsManageIdentities has an operator create, list and revoke, and others not.
func TestOperatorsManageIdentities(t *testing.T) {
	r := start(t, func(o *door.Options) { o.Namespace = "fleet" })
	dir, doors := r.joined(anna), []string{r.address}
	ci := identity.Identity{Role: identity.Deployer, Name: "ci", Services: []string{"shop"}}
	token, request := enrol.NewToken(identity.Creation{Identity: ci, TokenLife: time.Hour})
	answer, err := enrol.Ask(bounded(t), doors, dir, request)
	require.NoError(t, err)
	token, err = enrol.Complete(token, answer)
	require.NoError(t, err)
	joined, err := enrol.Join(bounded(t), token)
	require.NoError(t, err)
	require.Equal(t, []string{"shop"}, joined.Identity.Services)
	require.Equal(t, "fleet", joined.Namespace)
	require.NotContains(t, fmt.Sprintf("%v", r.created), hex.EncodeToString(token.Secret))

	answer, err = enrol.Ask(bounded(t), doors, dir, enrol.Request{List: true})
	require.NoError(t, err)
	require.Len(t, answer.Identities, 2)

	ciDir := identity.Directory(filepath.Join(t.TempDir(), "ci"))
	require.NoError(t, joined.Save(ciDir))
	for _, d := range []identity.Directory{ciDir, r.joined(rift)} {
		for _, request := range []enrol.Request{{List: true}, {Revoke: "operator/anna"}, request} {
			_, err := enrol.Ask(bounded(t), doors, d, request)
			require.ErrorContains(t, err, "may not see or change identities: operators may")
		}
	}

	_, err = enrol.Ask(bounded(t), doors, dir, enrol.Request{Revoke: "deployer/ci"})
	require.NoError(t, err)
	_, err = r.client(ciDir).Check(bounded(t), &healthpb.HealthCheckRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err), "at once, at this gateway: %v", err)

	for want, request := range map[string]enrol.Request{
		"there is no identity node/orion": {Revoke: "node/orion"},
		"is no identity":                  {Revoke: "orion"},
		"the hash of the token":           {Create: &identity.Creation{Identity: ci, TokenLife: time.Hour}},
		"a token cannot live for":         {Create: &identity.Creation{Identity: ci, Hash: identity.HashSecret(nil)}},
		"a certificate cannot live for":   {Create: &identity.Creation{Identity: ci, Hash: identity.HashSecret(nil), TokenLife: time.Hour, Life: time.Minute}},
		"names no service":                {Create: &identity.Creation{Identity: identity.Identity{Role: identity.Reader, Name: "eve"}, Hash: identity.HashSecret(nil), TokenLife: time.Hour}},
	} {
		_, err := enrol.Ask(bounded(t), doors, dir, request)
		require.ErrorContains(t, err, want)
	}

	var audited []string
	for _, e := range r.audit {
		require.False(t, e.Claimed)
		audited = append(audited, strings.TrimSpace(e.Who+" "+e.Verb+" "+e.Detail+" "+e.Node+" "+e.Outcome))
	}
	for _, want := range []string{
		"operator/anna join operator/anna", "operator/anna identity create deployer/ci", "operator/anna identity create deployer/ci  succeeded",
		"deployer/ci join deployer/ci", "node/rift join node/rift rift", "operator/anna identity revoke deployer/ci  succeeded",
	} {
		require.Contains(t, audited, want)
	}
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
