// Package workers wires the roles that a process can hold: which task queue it
// polls, which workflows and activities it serves there, and how it stops.
package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/telemetry"
)

// Options says which roles to hold; a nil role is not held.
type Options struct {
	Control *Control
	Node    *Node
	Builder *Builder
	// Logger gets what the roles have to say; slog's default if nil.
	Logger *slog.Logger
	// Version is mcp's own, for the registry to show.
	Version string
	// Grace is how long running activities may take to finish when the workers
	// stop; those that have not by then are handed over to the next worker.
	Grace time.Duration
	// Telemetry measures the workers, and knows whether they are ready; nil if
	// nobody asks. It has instrumented the client's connection.
	Telemetry *telemetry.Telemetry
	// Interceptors see every activity, the first of them before all else.
	Interceptors []interceptor.WorkerInterceptor
}

// handOver is how long activities that are handed over may take to end what
// they have under way.
const handOver = 15 * time.Second

// heartbeatThrottle is how long the SDK holds a heartbeat back to send it with
// the next. Its own choice, 80 % of the heartbeat timeout, would let one lost
// heartbeat lose the activity, and a cancel wait for 12 seconds. It is also how
// long Temporal may take to answer one before the SDK ends the activity's
// context: less would start a build anew whenever Temporal is restarted.
const heartbeatThrottle = 3 * time.Second

// Workers are the running workers of one process.
type Workers struct {
	running      []worker.Worker
	closers      []func()
	failed       chan error
	interceptors []interceptor.WorkerInterceptor
	telemetry    *telemetry.Telemetry
	grace        time.Duration
	// activities is the root of their contexts, which interrupt ends.
	activities context.Context
	interrupt  context.CancelCauseFunc
}

// Start starts the workers of every role in o. Client stays the caller's, who
// closes it after Stop.
func Start(ctx context.Context, c client.Client, o Options) (*Workers, error) {
	if o.Control == nil && o.Node == nil && o.Builder == nil {
		return nil, errors.New("no role: a worker is a control worker, a node's, a builder, or several of these")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Telemetry == nil {
		o.Telemetry = telemetry.New(o.Version)
	}
	w := &Workers{
		failed:       make(chan error, 3),
		interceptors: append(slices.Clone(o.Interceptors), activities.NewInterceptor(), o.Telemetry.Steps()),
		telemetry:    o.Telemetry,
		grace:        o.Grace,
	}
	w.activities, w.interrupt = context.WithCancelCause(context.WithoutCancel(ctx))
	var err error
	if o.Control != nil {
		o.Control.version = o.Version
		err = o.Control.start(ctx, w, c)
	}
	if err == nil && o.Node != nil {
		err = o.Node.start(ctx, w, c, o)
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

// Failed receives the error of a worker that cannot go on.
func (w *Workers) Failed() <-chan error { return w.failed }

// Stop says that it is ready no more, takes on nothing new, lets running
// activities finish within the grace, hands over those that do not, and returns
// when every worker has ended.
func (w *Workers) Stop() {
	w.telemetry.Unready("it is stopping")
	late := time.AfterFunc(w.grace, func() { w.interrupt(activities.ErrStopping) })
	defer late.Stop()
	done := make(chan struct{}, len(w.running))
	for _, running := range w.running {
		go func() {
			running.Stop()
			done <- struct{}{}
		}()
	}
	for range w.running {
		<-done
	}
	for _, closer := range w.closers {
		closer()
	}
	w.running, w.closers = nil, nil
}

// serve starts polling one queue. Register names what is served there.
func (w *Workers) serve(c client.Client, queue string, o worker.Options, register func(worker.Registry)) error {
	o.WorkerStopTimeout = w.grace + handOver
	o.BackgroundActivityContext = w.activities
	o.MaxHeartbeatThrottleInterval = heartbeatThrottle
	o.Interceptors = w.interceptors
	o.OnFatalError = func(err error) {
		select {
		case w.failed <- fmt.Errorf("poll %s: %w", queue, err):
		default: // somebody has been told already
		}
	}
	served := worker.New(c, queue, o)
	register(served)
	if err := served.Start(); err != nil {
		return fmt.Errorf("poll %s: %w", queue, err)
	}
	w.running = append(w.running, served)
	w.checkPolls(telemetry.Queue{Name: queue})
	if !o.DisableWorkflowWorker {
		w.checkPolls(telemetry.Queue{Name: queue, Workflows: true})
	}
	return nil
}
