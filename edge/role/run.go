package role

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/edge/access"
	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/edge/server"
	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/telemetry"
)

// ProcessOptions configure the process of an edge.
type ProcessOptions struct {
	Name string
	// Version is mcp's.
	Version string
	// Data is the edge's directory.
	Data string
	// Addresses are those at which clients reach the edge; none means those of this
	// host.
	Addresses []string
	// MachineFile has this host's identity; "" means the system's.
	MachineFile string
	// Proxy and Server configure the proxy and the server; Run sets the fields that
	// follow from the other options.
	Proxy  proxy.Options
	Server server.Options
	// Temporal is the connection, and Interceptors wrap every activity, the first of them
	// outermost.
	Temporal     client.Options
	Interceptors []interceptor.WorkerInterceptor
	// Codec is what the connection encrypts with.
	Codec *codec.Codec
	// Doors connect to the gateways for streams; nil if Temporal is reached without one.
	Doors []func(context.Context) (net.Conn, error)
	// Metrics is the address of metrics and health; "" or "off" means none.
	Metrics string
	// Drain is how long requests and connections may take when the edge ends.
	Drain time.Duration
	// Started, if not nil, is called when the edge serves what is on disk, and no other
	// process does.
	Started func()
	Log     *slog.Logger
}

// KeyFile is the path of an edge's key in its directory.
func KeyFile(data string) string { return filepath.Join(data, "key") }

// OpenData creates the directory of an edge, unless it exists, and fails if another user
// could change what is in it.
func OpenData(data string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("create the data directory: %w", err)
	}
	if err := config.Ours(data); err != nil {
		return fault.Wrap(fault.Unauthorized, err, "the data directory is not used").
			WithHint("choose another, with --data or [edge] data in mcp.toml")
	}
	return nil
}

// Run runs an edge until ctx ends, its name is refused, or another process has taken
// over. It serves what is on disk before it has reached Temporal. The end of ctx is no
// error, even before the edge serves.
func Run(ctx context.Context, o ProcessOptions) error {
	err := run(ctx, o)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func run(ctx context.Context, o ProcessOptions) error {
	if err := OpenData(o.Data); err != nil {
		return err
	}
	identity, err := seal.Load(KeyFile(o.Data))
	if err != nil {
		return err
	}
	host, err := machine(o.MachineFile)
	if err != nil {
		return err
	}
	logs, err := access.Open(filepath.Join(o.Data, "logs"), 0)
	if err != nil {
		return err
	}
	defer logs.Close()
	measured := telemetry.New(o.Version)
	c, err := measured.Connect(o.Temporal)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.Codec != nil {
		measured.Check("encryption", func(context.Context) error { return o.Codec.Check() })
	}

	shared := NewShared(c, o.Name, identity, o.Log)
	o.Server.Storage = shared.Storage()
	front, err := newFront(ctx, o, logs)
	if err != nil {
		return err
	}
	defer front.stop(o.Drain)
	measure(measured, front.proxy.Counts, front.server.Certificates)
	router, err := NewRouter(RouterOptions{Proxy: front.proxy, Server: front.server, Access: logs, Data: o.Data, Machine: host, Log: o.Log})
	if err != nil {
		return err
	}
	o.Log.Info("serving what is on disk", "edge", o.Name, "publications", len(front.proxy.Published()), "ports", front.server.Listening())

	lock, err := acquire(ctx, o.Data, o.Log)
	if err != nil {
		return err
	}
	defer lock.Close()
	listener := telemetry.Listen(o.Metrics, measured.Handler(), o.Log)
	defer listener.Close()
	if err := router.Reload(); err != nil {
		return err
	}
	if o.Started != nil {
		o.Started()
	}
	edge := Start(c, Options{
		Name: o.Name, Version: o.Version, Key: identity.Key(), Machine: host, Addresses: o.Addresses, Ports: o.Server.Ports,
		Router: router, Learn: front.learning(shared), Telemetry: measured, Interceptors: o.Interceptors, Log: o.Log,
	})
	unserve := serveStreams(o.Name, o.Doors, router.Stream, o.Log)
	select {
	case err = <-edge.Failed():
	case <-front.server.Taken():
		o.Log.Info("another process serves now; open connections may end", "within", o.Drain)
	case <-ctx.Done():
		o.Log.Info("the edge ends; open connections may end first", "within", o.Drain)
	}
	// The next process waits for the lock: it must neither miss what this one still
	// receives, nor wait for its connections.
	edge.Stop()
	unserve()
	listener.Close()
	_ = lock.Close()
	return err
}

// front is what clients reach.
type front struct {
	proxy  *proxy.Proxy
	server *server.Server
	// private is set if the edge's own authority signs for every hostname, and rooted
	// once its root certificate has been read.
	private, rooted bool
}

func newFront(ctx context.Context, o ProcessOptions, logs *access.Logs) (*front, error) {
	o.Proxy.Log = o.Log
	o.Proxy.Listening = func(port int) int { return cmp.Or(o.Server.Ports[port], port) }
	o.Proxy.Access = func(a proxy.Access) {
		if a.Service != "" {
			logs.Log(a.Service, lineOf(a))
		}
	}
	served := proxy.New(o.Proxy)
	o.Server.Proxy, o.Server.Data, o.Server.Log = served, o.Data, o.Log
	s, err := server.Start(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	return &front{proxy: served, server: s, private: o.Server.ACME == nil}, nil
}

// rootTime is how long the routes of an edge that has just been admitted wait for the
// root certificate that edges share, and rootEvery how often it is asked for.
const (
	rootTime  = 4 * time.Second
	rootEvery = 200 * time.Millisecond
)

// learning returns what an edge does with each answer before it serves it. Clients need
// the root certificate before the first handshake.
func (f *front) learning(shared *Shared) func(context.Context, fleet.EdgeAnswer) error {
	return func(ctx context.Context, answer fleet.EdgeAnswer) error {
		if err := shared.Learn(answer); err != nil || !answer.Admitted || !f.private || f.rooted {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, rootTime)
		defer cancel()
		for {
			_, err := f.server.Root(ctx)
			f.rooted = err == nil
			if err == nil || !fault.Is(err, fault.Unauthorized) { // until another edge has sealed it to this one
				return err
			}
			select {
			case <-time.After(rootEvery):
			case <-ctx.Done():
				return err
			}
		}
	}
}

// stop ends the connections, within that time.
func (f *front) stop(drain time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	f.server.Stop(ctx)
}

// lineOf returns the line of the access log.
func lineOf(a proxy.Access) fleet.Access {
	line := fleet.Access{
		Time: a.Begun.Add(a.Duration), Route: a.Route, Endpoint: a.Endpoint, Protocol: a.Protocol, Client: a.Client.String(),
		Method: a.Method, Host: a.Host, Path: a.Path, Status: a.Status, Received: a.Received, Sent: a.Bytes,
		Upstream: a.Upstream, DurationMS: float64(a.Duration) / float64(time.Millisecond),
	}
	if a.Err != nil {
		line.Error = a.Err.Error()
	}
	return line
}
