package role

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/tend"
)

// How often an edge announces itself.
const (
	// firstPause and longestPause are between two announcements that brought no
	// admission.
	firstPause   = time.Second
	longestPause = 10 * time.Second
	// announceEvery is the time between those of an admitted edge, which learns by them
	// what it has missed, and that it was removed.
	announceEvery = time.Minute
	// mendEvery is how long an edge waits before it tries again to listen on a port, or
	// to write a file.
	mendEvery = 10 * time.Second
	// healthEvery is how often it checks whether Temporal answers.
	healthEvery = 5 * time.Second
)

// announceTimeout bounds the wait for the answer of a control worker.
const announceTimeout = 15 * time.Second

// keepAnnouncing announces the edge until ctx ends, or its name is refused: the error is
// then a Conflict.
func (e *Edge) keepAnnouncing(ctx context.Context) error {
	pause := firstPause
	said := ""
	for first := true; ; first = false {
		answer, err := e.announce(ctx, first)
		wait := pause
		switch {
		case ctx.Err() != nil:
			return nil
		case fault.Is(err, fault.Conflict):
			e.router.Refuse()
			return err
		case err != nil:
			e.once(&said, "not announced; what is on disk is served meanwhile", "error", err)
		default:
			if err := e.options.Learn(ctx, answer); err != nil {
				e.log.Error("this edge does not share certificates with others", "error", err)
			}
			e.router.Answer(answer)
			if err := e.poll(); err != nil {
				e.log.Warn("cannot receive publications yet", "error", err, "next", pause)
			} else if answer.Admitted {
				e.once(&said, "admitted", "services", len(answer.Publications))
				pause, wait = firstPause, untilNext(answer)
				break
			}
			if !answer.Admitted {
				e.once(&said, "not admitted yet; an operator compares the fingerprint of its key and runs: mcp edge admit "+e.options.Name,
					"fingerprint", e.key.Fingerprint())
			}
		}
		if wait == pause && !answer.Admitted {
			pause = min(2*pause, longestPause)
		}
		if !e.pause(ctx, wait) {
			return nil
		}
	}
}

// untilNext returns the time until an admitted edge announces itself again: a short one if it
// has received publications, which the next announcement acknowledges.
func untilNext(answer fleet.EdgeAnswer) time.Duration {
	switch {
	case answer.More:
		return 0
	case len(answer.Publications) > 0:
		return firstPause
	}
	return announceEvery + rand.N(announceEvery/4)
}

// once logs a message unless it is the last one that was logged.
func (e *Edge) once(said *string, message string, args ...any) {
	if *said != message {
		*said = message
		e.log.Info(message, args...)
	}
}

// pause waits until it is time to announce the edge again: after that long, or when Temporal
// answers again after a while, or the router asks for it. It returns false when ctx ends.
func (e *Edge) pause(ctx context.Context, wait time.Duration) bool {
	over := time.NewTimer(wait)
	defer over.Stop()
	mend := time.NewTicker(mendEvery)
	defer mend.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-over.C:
			return true
		case <-e.router.Asked():
			return true
		case err := <-e.pollFailed:
			e.log.Warn("publications are not received", "error", err)
			e.stopPolling()
			return true
		case <-mend.C:
			e.router.Mend()
		}
	}
}

// keepChecking wakes the announcements when Temporal answers again, until ctx ends.
func (e *Edge) keepChecking(ctx context.Context) {
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(healthEvery):
		}
		check, cancel := context.WithTimeout(ctx, healthEvery)
		_, err := e.client.CheckHealth(check, &client.CheckHealthRequest{})
		cancel()
		if err == nil && away {
			e.router.wake()
		}
		away = err != nil
	}
}

// announce announces the edge through a workflow, because an edge has no access to the
// registry. The error is a Conflict if its name belongs to another key.
func (e *Edge) announce(ctx context.Context, first bool) (answer fleet.EdgeAnswer, err error) {
	wait, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	// A former announcement that still waits for Postgres goes on, unless it is of the
	// process before, which may have had another configuration.
	policy := enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	if first {
		policy = enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
	}
	run, err := e.client.ExecuteWorkflow(wait, client.StartWorkflowOptions{
		ID:                       tend.AnnouncementID(e.options.Name, e.key.String()),
		TaskQueue:                activities.QueueControl,
		WorkflowIDConflictPolicy: policy,
		StaticSummary:            "edge " + e.options.Name + " announces itself",
	}, tend.AnnounceEdgeName, e.record())
	if err != nil {
		return answer, fault.Wrap(fault.Unavailable, err, "announce edge %s", e.options.Name)
	}
	err = run.Get(wait, &answer)
	switch {
	case err == nil:
		return answer, nil
	case wait.Err() != nil, errors.As(err, new(*serviceerror.DeadlineExceeded)):
		return answer, fault.New(fault.Unavailable, "announce edge %s: no control worker has answered yet", e.options.Name)
	}
	f := attempt.FaultOf(err)
	if f.Kind != fault.Conflict {
		return answer, fault.Wrap(fault.Unavailable, f, "announce edge %s", e.options.Name)
	}
	return answer, f
}
