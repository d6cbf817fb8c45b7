package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/watch"
)

// upkeepInterval is how often a control worker makes sure that Temporal has what mcp needs,
// and upkeepTimeout how long that may take.
const upkeepInterval, upkeepTimeout = time.Minute, 10 * time.Second

// upkeep makes sure that Temporal has the search attributes and schedules of mcp. They
// are missing after Temporal has lost its database, or after one was deleted.
// No workflow can do this, because none would run.
type upkeep struct {
	client    client.Client
	namespace string
	// keys are those with which the schedules are encrypted, and sealed the id of the one
	// with which they are.
	keys      *keyring.Keys
	sealed    string
	schedules []scheduled
	// jobs makes the schedules of jobs what they should be.
	jobs func(context.Context) error
	log  *slog.Logger
}

// keep makes sure of that until the workers stop. Readiness depends on the schedules.
func (w *Workers) keep(ctx context.Context, u upkeep) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(upkeepInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				u.restore(ctx)
				u.reseal(ctx)
				u.keepJobs(ctx)
			}
		}
	}()
	w.closers = append(w.closers, func() { cancel(); <-ended })
	w.telemetry.Check("schedules", u.check)
}

// restore makes what is missing.
func (u upkeep) restore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	err := u.check(ctx)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return // the check of readiness reports it
	}
	u.log.Warn("making again what mcp needs in Temporal", "missing", err)
	err = registerSearchAttributes(ctx, u.client, u.namespace)
	for _, s := range u.schedules {
		if made := s.create(ctx, u.client); !errors.Is(made, temporal.ErrScheduleAlreadyRunning) {
			err = errors.Join(err, made) // another control worker may have been first
		}
	}
	if err != nil {
		u.log.Error("Temporal lacks what mcp needs", "error", err)
	}
}

// reseal makes the schedules again once another key encrypts: those of the key before
// could not be run once that key is removed.
func (u *upkeep) reseal(ctx context.Context) {
	current := keyID(u.keys)
	if current == u.sealed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	for _, s := range u.schedules {
		if err := s.make(ctx, u.client); err != nil {
			u.log.Error("a schedule is not encrypted with the current key yet", "key", current, "error", err)
			return
		}
	}
	u.sealed = current
}

// keyID returns the id of the key that encrypts; "" if none does.
func keyID(keys *keyring.Keys) string {
	if keys == nil {
		return ""
	}
	current, _ := keys.Current()
	return current.ID
}

// keepJobs repairs the schedules of jobs: it makes one that a deploy could not make, or that
// was deleted, and deletes one of a release that is gone.
func (u upkeep) keepJobs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	if err := u.jobs(ctx); err != nil && ctx.Err() == nil {
		u.log.Warn("the schedules of jobs are not as they should be", "error", err)
	}
}

// check fails if Temporal lacks a schedule.
func (u upkeep) check(ctx context.Context) error {
	for _, s := range u.schedules {
		if err := s.exists(ctx, u.client); err != nil {
			return err
		}
	}
	return nil
}

// checkObservations makes readiness depend on the observations of the nodes. They are judged
// from the moment at which this worker could have made them.
func (w *Workers) checkObservations(store *registry.Store, interval time.Duration) {
	started := time.Now()
	w.telemetry.Check("monitor", func(ctx context.Context) error {
		nodes, err := store.NodeStates(ctx)
		if err != nil {
			return err
		}
		return overdue(nodes, started, time.Now(), interval)
	})
}

// overdue fails if the next observation of a node is late.
func overdue(nodes []fleet.NodeState, started, now time.Time, interval time.Duration) error {
	for i := range nodes {
		if nodes[i].Observed.Before(started) {
			nodes[i].Observed = started
		}
	}
	watch.MarkOverdue(nodes, now, interval)
	for _, n := range nodes {
		if n.Overdue {
			return fault.New(fault.Unavailable, "the monitor has not observed node %s for %s", n.Name, now.Sub(n.Observed).Round(time.Second)).
				WithHint("look at the schedule and the workflows monitor in Temporal")
		}
	}
	return nil
}
