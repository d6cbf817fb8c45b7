package role

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/telemetry"
)

// Options configure an Edge.
type Options struct {
	Name string
	// Version is mcp's.
	Version string
	Key     seal.Key
	Machine fleet.Machine
	// Addresses are those at which clients reach the edge; none means those of this
	// host.
	Addresses []string
	// Ports maps the port of a route to the one on which the edge listens instead.
	Ports  map[int]int
	Router *Router
	// Learn is called with each answer to an announcement, before it is served.
	Learn func(context.Context, fleet.EdgeAnswer) error
	// Telemetry must have instrumented the client's connection.
	Telemetry *telemetry.Telemetry
	// Interceptors wrap every activity, the first of them outermost.
	Interceptors []interceptor.WorkerInterceptor
	Log          *slog.Logger
}

// stopTime is how long running activities may take when the edge stops; the next
// process, or the end of their workflow's patience, takes care of the others.
const stopTime = 3 * time.Second

// Edge announces a Router to the control plane, and receives publications for it.
type Edge struct {
	options Options
	client  client.Client
	router  *Router
	key     seal.Key
	log     *slog.Logger

	// activities is the parent of the activities' contexts; interrupt ends it.
	activities context.Context
	interrupt  context.CancelCauseFunc

	mu         sync.Mutex
	worker     worker.Worker // nil before it polls
	pollFailed chan error

	cancel  context.CancelFunc
	running sync.WaitGroup
	failed  chan error
}

// Start announces an edge in the background until Stop. It does not wait for Temporal.
func Start(c client.Client, o Options) *Edge {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{
		options: o, client: c, router: o.Router, key: o.Key, log: o.Log.With("edge", o.Name),
		pollFailed: make(chan error, 1), cancel: cancel, failed: make(chan error, 1),
	}
	e.activities, e.interrupt = context.WithCancelCause(context.Background())
	e.checks()
	if o.Version != "" {
		worker.SetBinaryChecksum(o.Version) // else the SDK reads and hashes the whole program
	}
	e.running.Go(func() {
		if err := e.keepAnnouncing(ctx); err != nil {
			e.failed <- err
		}
	})
	e.running.Go(func() { e.keepChecking(ctx) })
	o.Telemetry.Ready()
	return e
}

// Failed receives the error of an edge that cannot go on: its name is refused.
func (e *Edge) Failed() <-chan error { return e.failed }

// Stop stops receiving publications, and returns when every goroutine of e has ended.
// Requests are served as before.
func (e *Edge) Stop() {
	e.options.Telemetry.Unready("it is stopping")
	e.cancel()
	e.running.Wait()
	e.stopPolling()
}

// checks makes readiness depend on what an edge needs.
func (e *Edge) checks() {
	t := e.options.Telemetry
	queue := telemetry.Queue{Name: activities.QueueEdge(e.options.Name)}
	t.Check("poll "+queue.String(), func(context.Context) error { return t.Polling(queue) })
	t.Check("admitted", func(context.Context) error {
		if !e.router.Admitted() {
			return fault.New(fault.Unauthorized, "no operator has admitted this edge: mcp edge admit %s", e.options.Name)
		}
		return nil
	})
	t.Check("listening", func(context.Context) error {
		listening, _ := e.router.Problems()
		return problem(listening)
	})
	t.Check("publications", func(context.Context) error {
		_, keeping := e.router.Problems()
		return problem(keeping)
	})
}

// problem returns the first of some, or nil.
func problem(list []string) error {
	if len(list) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "%s", list[0])
}

// poll receives publications, unless it does already. An edge whose name belongs to
// another key never does: it would take the publications of the other edge.
func (e *Edge) poll() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.worker != nil {
		return nil
	}
	queue := activities.QueueEdge(e.options.Name)
	w := worker.New(e.client, queue, worker.Options{
		DisableWorkflowWorker:     true,
		WorkerStopTimeout:         2 * stopTime,
		BackgroundActivityContext: e.activities,
		Interceptors:              slices.Concat(e.options.Interceptors, []interceptor.WorkerInterceptor{attempt.NewInterceptor(), e.options.Telemetry.Steps()}),
		OnFatalError: func(err error) {
			select {
			case e.pollFailed <- fmt.Errorf("poll %s: %w", queue, err):
			default: // there is an error to report already
			}
		},
	})
	w.RegisterActivity(&onedge.Edge{Name: e.options.Name, Router: e.router})
	if err := w.Start(); err != nil {
		return fmt.Errorf("poll %s: %w", queue, err)
	}
	e.worker = w
	return nil
}

// stopPolling stops the worker: activities that are running may end, within stopTime.
func (e *Edge) stopPolling() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.worker == nil {
		return
	}
	late := time.AfterFunc(stopTime, func() { e.interrupt(attempt.ErrStopping) })
	e.worker.Stop()
	late.Stop()
	e.worker = nil
}

// record is what the edge announces.
func (e *Edge) record() fleet.EdgeRecord {
	addresses := e.options.Addresses
	if len(addresses) == 0 {
		addresses = hostAddresses()
	}
	hostname, err := os.Hostname()
	if err != nil {
		hostname = e.options.Machine.Hostname
	}
	return fleet.EdgeRecord{
		Name: e.options.Name, Key: e.key.String(), Version: e.options.Version, Hostname: hostname,
		Addresses: addresses, Ports: e.options.Ports, Machine: e.options.Machine,
		Versions: e.router.Status(context.Background()).Versions,
	}
}
