package workers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workflows"
)

// Options select the roles of a process; a nil role is not held.
type Options struct {
	Control *Control
	Node    *Node
	Builder *Builder
	// Logger receives the log of the roles; slog's default if nil.
	Logger *slog.Logger
	// Version is the version of mcp that the registry records.
	Version string
	// Grace is how long running activities may take to finish when the workers
	// stop; the others are then handed over to the next worker.
	Grace time.Duration
	// Telemetry measures the workers and reports whether they are ready; it may
	// be nil. It must have instrumented the client's connection.
	Telemetry *telemetry.Telemetry
	// Interceptors wrap every activity, the first of them outermost.
	Interceptors []interceptor.WorkerInterceptor
	// Codec is what the client encrypts with; nil if the client has none. Behind says that it
	// reaches Temporal through gateways, which have the keys.
	Codec  *codec.Codec
	Behind bool
}

// Start starts the workers of every role in o. The caller closes the client after
// Stop.
func Start(ctx context.Context, c client.Client, o Options) (*Workers, error) {
	if o.Control == nil && o.Node == nil && o.Builder == nil {
		return nil, errors.New("no role: select a control worker, a node, a builder, or several of these")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Telemetry == nil {
		o.Telemetry = telemetry.New(o.Version)
	}
	doors := &doorKeys{}
	w := &Workers{
		doors:        doors,
		failed:       make(chan error, 3),
		interceptors: append(slices.Clone(o.Interceptors), activities.NewInterceptor(), o.Telemetry.Steps(), workflows.NewAuditor(doors.signed(o.Control))),
		telemetry:    o.Telemetry,
		log:          o.Logger,
		version:      o.Version,
		grace:        o.Grace,
	}
	if o.Version != "" {
		worker.SetBinaryChecksum(o.Version) // else the SDK reads and hashes the whole program at each start
	}
	w.activities, w.interrupt = context.WithCancelCause(context.WithoutCancel(ctx))
	var err error
	if o.Codec != nil {
		w.telemetry.Check("encryption", func(context.Context) error { return o.Codec.Check() })
		if !o.Behind {
			err = readable(ctx, c)
		}
	}
	if err == nil && o.Control != nil {
		err = o.Control.start(ctx, w, c)
	}
	if err == nil && o.Node != nil {
		err = o.Node.start(ctx, w, c)
	}
	if err == nil && o.Builder != nil {
		err = o.Builder.start(w, c)
	}
	if err != nil {
		w.Stop()
		o.Telemetry.Unready("it cannot start: " + err.Error())
		return nil, err
	}
	o.Telemetry.Ready()
	return w, nil
}
