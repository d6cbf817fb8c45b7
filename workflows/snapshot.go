package workflows

import (
	"cmp"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/reads"
)

// SnapshotInput names a former release.
type SnapshotInput struct {
	Service string `json:"service"`
	// Number is that of the release; 0 for the one that a rollback goes back to.
	Number int `json:"number"`
	// Wait is how long to wait for what is down; 0 for a few seconds.
	Wait time.Duration `json:"wait,omitempty"`
}

// SnapshotResult is a former release.
type SnapshotResult struct {
	// Snapshot has the number 0 if a rollback was asked for and there is nothing to go back
	// to.
	fleet.Snapshot
	// Release is the number of the release before which it ran, and Deployed is set if the
	// service was ever deployed. A release that was asked for by its number has
	// neither.
	Release  int  `json:"release,omitempty"`
	Deployed bool `json:"deployed,omitempty"`
}

// Snapshot reads a former release.
func Snapshot(ctx workflow.Context, in SnapshotInput) (*SnapshotResult, error) {
	result := &SnapshotResult{}
	if in.Number == 0 {
		known, err := reads.History(ctx, reads.HistoryInput{Service: in.Service, Wait: in.Wait})
		if err != nil {
			return nil, err
		}
		in.Number, result.Release, result.Deployed = RollbackTarget(*known), known.Release, len(known.Deployments) > 0
		if in.Number == 0 {
			return result, nil
		}
	}
	asked := oncontrol.LoadSnapshotInput{Service: in.Service, Number: in.Number}
	snapshot, err := call.Control(ctx, "load the former release", cmp.Or(in.Wait, call.ReadTimeout), control.LoadSnapshot, asked)
	if err != nil {
		return nil, call.Failure(err)
	}
	result.Snapshot = snapshot
	return result, nil
}

// RollbackTarget returns the number of the release that a rollback goes back to: where
// containers run, the newest one that ran before what runs now; where none do, after a
// stop, an undeploy or a deploy of an inactive definition, the one that ran last. It
// returns 0 if there is none.
//
// A start, a restart or a reconcile repeats the release before it, so the number is that
// of the release which it repeats; unless that one is inactive: then it is the number of
// the start.
func RollbackTarget(h reads.HistoryResult) int {
	passed := false // the release, and the one that it repeats
	started := 0    // a release that repeats an older one
	for _, d := range h.Deployments {
		repeats := Repeats(fleet.Verb(d.Verb))
		switch {
		case d.Number > h.Release || !d.Succeeded():
		case d.Number == h.Release && !d.Active:
			passed = true
		case !passed:
			passed = !repeats
		case !d.Active && repeats: // a stop or an undeploy
		case !d.Active && started != 0:
			return started
		case !d.Active:
		case repeats && started == 0:
			started = d.Number
		case !repeats:
			return d.Number
		}
	}
	return started
}
