package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/door/law"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/telemetry"
)

// Options are what a gateway is configured with.
type Options struct {
	// Listen is its address, and Doors are the addresses at which clients reach the gateways.
	Listen string
	Doors  []string
	// PostgresURL is the address of the registry; PostgresInsecure allows a connection
	// without encryption to another machine.
	PostgresURL      string
	PostgresInsecure bool
	// KeyFile is the file of the key that the gateways' keys are sealed to, and Data the
	// directory of the copies.
	KeyFile, Data string
	// Life is how long a certificate is valid.
	Life time.Duration
	// Upstream is the connection to Temporal, with its credentials, and Namespace the one
	// that is served.
	Upstream  *grpc.ClientConn
	Namespace string
	// Codec has the keys with which the gateway encrypts what clients give to Temporal, and
	// decrypts what they get from there.
	Codec     *codec.Codec
	Version   string
	Logger    *slog.Logger
	Telemetry *telemetry.Telemetry
	// Grace is how long open calls may take when the gateway ends.
	Grace time.Duration
	// Listening is called with the address when the gateway serves; nil for nothing to do.
	Listening func(address string)
	// Refresh is how often the list of revoked identities and the keys are read; zero for the
	// default.
	Refresh time.Duration
}

// Serve serves until ctx ends. That is no error, even before it serves.
func Serve(ctx context.Context, o Options) error {
	err := serve(ctx, o)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func serve(ctx context.Context, o Options) error {
	own, err := seal.Load(o.KeyFile)
	if err != nil {
		return err
	}
	with := registry.Insecure(o.PostgresInsecure)
	store, err := registry.OpenSealed(ctx, o.PostgresURL, o.Codec.Keys(), with)
	if err != nil {
		return err
	}
	defer store.Close()
	copied := newCopies(o.Data)
	shared, sealed, err := awaitKeys(ctx, func(ctx context.Context) error { return registry.Prepare(ctx, o.PostgresURL, with) }, store, own, copied, o.Logger)
	if err != nil {
		return err
	}
	if err := keepKeys(ctx, store); err != nil {
		return err
	}
	sealing := o.Codec.AtGateway(law.MaxPlain)
	judged, err := law.New(law.Options{Upstream: sealing.Conn(o.Upstream), Open: sealing.Open, Namespace: o.Namespace, Key: shared.secret, Version: o.Version, Log: o.Logger})
	if err != nil {
		return err
	}
	streamed := &stream.Hub{Audit: judged.Record, Logger: o.Logger}
	follow := &following{store: store, own: own, copied: copied, log: o.Logger, known: sealed, turn: make(chan struct{}, 1)}
	d, err := door.New(door.Options{
		Authorities: shared.authorities, Store: store, Rotate: rotate(store, own.Key(), follow.read), Doors: o.Doors, Namespace: o.Namespace, Life: o.Life,
		API: judged, Streams: streamed, Version: o.Version, Logger: o.Logger, Refresh: o.Refresh,
		Revoked: copied.read().Revoked,
		Remember: func(ids []string) {
			if err := copied.keepRevoked(ids); err != nil {
				o.Logger.Warn("the copy of the list of revoked identities is not written", "error", err)
			}
		},
	})
	if err != nil {
		return err
	}
	follow.door = d
	first, cancel := context.WithTimeout(ctx, registryTime)
	d.Refresh(first) // before the first connection
	cancel()
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fault.Wrap(fault.Conflict, err, "listening").WithHint("set [gateway] listen to an address of this host that is free")
	}
	measure(o.Telemetry, d, judged, streamed)
	o.Telemetry.Check("Temporal", o.upstream)
	o.Telemetry.Check("encryption", func(context.Context) error { return sealing.Check() })
	o.Telemetry.Check("encryption keys", func(ctx context.Context) error { return keepKeys(ctx, store) })
	o.Telemetry.Ready()
	defer o.Telemetry.Unready("it is stopping")
	o.Logger.Info("gateway ready", "address", l.Addr().String(), "authority", shared.authorities.Current.Fingerprint(), "temporal", o.Upstream.Target(), "namespace", o.Namespace)
	if o.Listening != nil {
		o.Listening(l.Addr().String())
	}
	defer context.AfterFunc(ctx, func() { o.Telemetry.Unready("it is stopping") })()
	following, stop := context.WithCancel(ctx)
	defer stop()
	go follow.run(following, cmp.Or(o.Refresh, keysInterval))
	d.Serve(ctx, l, o.Grace)
	return nil
}

// keysTime bounds the query for the keys that the fleet has.
const keysTime = 5 * time.Second

// keepKeys fails if the fleet encrypts with a key that this gateway lacks: the gateway would
// refuse tasks, and pass on in the clear what the others encrypt. While Postgres is away that
// is not known.
func keepKeys(ctx context.Context, store *registry.Store) error {
	limited, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	err := store.KeepKeys(limited)
	if fault.Is(err, fault.Unavailable) {
		return nil
	}
	return err
}

// upstream checks that Temporal answers.
func (o Options) upstream(ctx context.Context) error {
	answer, err := grpc_health_v1.NewHealthClient(o.Upstream).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: temporalService})
	if err != nil {
		return err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("it is %s", answer.GetStatus())
	}
	return nil
}

// temporalService is what Temporal reports the health of.
const temporalService = "temporal.api.workflowservice.v1.WorkflowService"
