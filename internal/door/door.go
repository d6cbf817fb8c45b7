package door

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/metacircular/mcp/internal/accepted"
	"github.com/metacircular/mcp/internal/identity"
)

// callProtocol and StreamProtocol are the names of the protocols of calls and of streams
// in the handshake of TLS.
const (
	callProtocol   = "h2"
	StreamProtocol = "mcp-stream/1"
)

// API serves Temporal's methods. The context of each call has its caller: see
// [identity.FromContext].
type API interface {
	// ServerOptions returns the options of the gRPC server: interceptors and limits.
	// Interceptors must be given as chains.
	ServerOptions() []grpc.ServerOption
	// Register registers the services.
	Register(grpc.ServiceRegistrar)
}

// Streams serves the connections of mcp-stream/1.
type Streams interface {
	// Serve serves one connection until it ends or ctx does. The caller closes conn
	// afterwards, and earlier if the identity is revoked.
	Serve(ctx context.Context, conn net.Conn, who identity.Identity) error
	// Refuse sends a caller the reason why it gets no streams. The caller of Refuse closes conn
	// afterwards, and sets its deadline before.
	Refuse(conn net.Conn, who identity.Identity, reason error)
}

// Options are what a Door needs.
type Options struct {
	// Authorities sign the certificates; only certificates that they have signed are
	// accepted. SetAuthorities replaces them.
	Authorities identity.Authorities
	Store       Store
	// Rotate replaces the authority for operators; nil if that is not possible.
	Rotate Rotate
	// Doors are the addresses of all gateways, for those that join.
	Doors []string
	// Namespace is that of Temporal, for those that join.
	Namespace string
	// Life is how long a certificate lives, unless its identity has a life of its own.
	Life time.Duration
	// API and Streams may be nil: then the protocol is not offered.
	API     API
	Streams Streams
	// Version is that of this mcp.
	Version string
	// Logger receives the log; slog's default if nil.
	Logger *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Refresh is how often the list of revoked identities is read; ten seconds if zero.
	Refresh time.Duration
	// Revoked are the ids that are known to be revoked before the list is first read.
	Revoked []string
	// Remember is called with the whole list when it has grown; nil for nothing to do.
	Remember func(revoked []string)
}

// Door serves the connections of one listener.
type Door struct {
	o   Options
	log *slog.Logger
	// authorities are the present ones.
	authorities atomic.Pointer[identity.Authorities]
	certs       *certificates
	admin       *Admin
	revoked     *revoked
	open        *connections
	refused     *connections
	api         *grpc.Server
	refuse      *grpc.Server
	counts      counts
	pending     pending
	// strangers and joining have an element for each connection, or request, that they
	// bound.
	strangers, joining chan struct{}
	serving            sync.WaitGroup
}

// New returns a Door, which serves nothing yet.
func New(o Options) (*Door, error) {
	if o.Authorities.Current == nil || o.Store == nil {
		return nil, errors.New("a gateway needs an authority and a registry")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Refresh == 0 {
		o.Refresh = refreshInterval
	}
	if o.Life == 0 {
		o.Life = identity.DefaultLife
	}
	d := &Door{
		o: o, log: o.Logger,
		revoked:   newRevoked(o.Revoked),
		open:      newConnections(bounded),
		refused:   newConnections(turnedAway),
		strangers: make(chan struct{}, maxStrangers), joining: make(chan struct{}, maxJoining),
	}
	d.authorities.Store(&o.Authorities)
	current := func() *identity.Authority { return d.authorities.Load().Current }
	d.certs = &certificates{authority: current, now: o.Now}
	d.admin = &Admin{Store: o.Store, Fingerprint: func() string { return current().Fingerprint() }, Doors: o.Doors, Rotate: o.Rotate, Now: o.Now}
	if _, err := d.certs.get(nil); err != nil {
		return nil, err
	}
	if o.API != nil {
		d.api = grpc.NewServer(append(d.serverOptions(), o.API.ServerOptions()...)...)
		o.API.Register(d.api)
	}
	d.refuse = refusing()
	return d, nil
}

// SetAuthorities replaces the authorities. Connections with a certificate of one that is
// dropped are closed.
func (d *Door) SetAuthorities(a identity.Authorities) {
	d.authorities.Store(&a)
	d.certs.renew()
	roots := a.Roots()
	if n := d.open.closeIf(func(c *connection) bool { return c.leaf != nil && !roots.Signed(c.leaf) }); n > 0 {
		d.log.Info("connections are closed: their certificates are of an authority that is dropped", "connections", n)
	}
}

// Serve serves the connections of a listener until ctx ends, and then the calls that
// are open for up to grace. It closes the listener.
func (d *Door) Serve(ctx context.Context, l net.Listener, grace time.Duration) {
	// Connections outlive ctx until they are drained.
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	calls, refusals := accepted.NewQueue(l.Addr()), accepted.NewQueue(l.Addr())
	if d.api != nil {
		d.serving.Go(func() { _ = d.api.Serve(calls) })
	}
	d.serving.Go(func() { _ = d.refuse.Serve(refusals) })
	d.serving.Go(func() { d.refresh(serving) })
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		d.accept(serving, l, calls, refusals)
	}()
	<-ctx.Done()
	_ = l.Close()
	<-accepting
	d.drain(grace)
	cancel()
	d.open.closeAll()
	d.refused.closeAll()
	d.serving.Wait()
}

// drain lets calls and streams end, for up to grace.
func (d *Door) drain(grace time.Duration) {
	late := time.AfterFunc(grace, func() {
		d.open.closeAll()
		if d.api != nil {
			d.api.Stop()
		}
	})
	defer late.Stop()
	if d.api != nil {
		d.api.GracefulStop()
	}
	d.refuse.Stop()
}
