package door_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
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

func (s *store) KeepIdentities(_ context.Context, seen []identity.Seen, _ []string) (added int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range seen {
		if !slices.ContainsFunc(slices.Collect(maps.Values(s.tokens)), func(who identity.Identity) bool { return who.ID == one.Identity.ID }) {
			s.tokens["lost/"+one.Identity.ID] = one.Identity
			added++
		}
	}
	return added, s.away
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

// empty has the registry lose all identities.
func (s *store) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
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
