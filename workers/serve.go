package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/internal/telemetry"
)

// handOver is how long activities that are handed over may take to end their
// current step.
const handOver = 15 * time.Second

// heartbeatThrottle is how long the SDK delays a heartbeat to combine it with the
// next. With its default, 80 % of the heartbeat timeout, one lost heartbeat would
// lose the activity, and a cancel would take up to 12 seconds. It also bounds how
// long Temporal may take to answer a heartbeat before the SDK ends the activity's
// context: a shorter time would restart a build whenever Temporal restarts.
const heartbeatThrottle = 3 * time.Second

// Workers are the running workers of one process.
type Workers struct {
	running      []worker.Worker
	closers      []func()
	failed       chan error
	interceptors []interceptor.WorkerInterceptor
	telemetry    *telemetry.Telemetry
	log          *slog.Logger
	version      string
	// doors are the keys with which gateways sign.
	doors *doorKeys
	grace time.Duration
	// activities is the parent of the activities' contexts; interrupt ends it.
	activities context.Context
	interrupt  context.CancelCauseFunc
}

// Failed receives the error of a worker that has failed.
func (w *Workers) Failed() <-chan error { return w.failed }

// Stop reports that the process is not ready, accepts no new tasks, lets running
// activities finish within the grace period, hands over those that do not, and
// returns when every worker has ended.
func (w *Workers) Stop() {
	w.telemetry.Unready("it is stopping")
	late := time.AfterFunc(w.grace, func() { w.interrupt(attempt.ErrStopping) })
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

// serve starts to poll one queue. Register registers the workflows and activities
// that are served there.
func (w *Workers) serve(c client.Client, queue string, o worker.Options, register func(worker.Registry)) error {
	o.WorkerStopTimeout = w.grace + handOver
	o.BackgroundActivityContext = w.activities
	o.MaxHeartbeatThrottleInterval = heartbeatThrottle
	o.Interceptors = w.interceptors
	o.OnFatalError = func(err error) {
		select {
		case w.failed <- fmt.Errorf("poll %s: %w", queue, err):
		default: // the process already has errors to report
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

// checkPolls makes readiness depend on a queue being polled.
func (w *Workers) checkPolls(q telemetry.Queue) {
	w.telemetry.Check("poll "+q.String(), func(context.Context) error { return w.telemetry.Polling(q) })
}

// policies reads the policy of this host. Readiness depends on it: one that cannot be used
// lets nothing new run.
func (w *Workers) policies(place, file, socket string) node.Policies {
	read := node.Policies{File: file, Sockets: []string{socket}}
	w.telemetry.Check("policy of "+place, func(context.Context) error {
		if problem := read.Policy().Problem; problem != "" {
			return errors.New("nothing new may run here: " + problem)
		}
		return nil
	})
	if p := read.Policy(); p.Problem != "" {
		w.log.Error("the policy cannot be used, and nothing new may run here", "place", place, "error", p.Problem)
	}
	return read
}

// podman returns the engine at a socket, of a node or a builder. Readiness depends on
// it.
func (w *Workers) podman(place, socket string) *podman.Engine {
	engine := podman.New(socket)
	pings := newPings("podman on "+place, func(ctx context.Context) error {
		_, err := engine.Version(ctx)
		return err
	})
	w.telemetry.Check("podman at "+socket, pings.check)
	w.closers = append(w.closers, pings.stop, engine.Close)
	return engine
}
