package tend

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/envelopes"
)

// RegisterNode records that a node's worker has started: the monitor observes the
// node from then on, and at once. After a boot of its host the workflow continues as
// ReviveNode.
func RegisterNode(ctx workflow.Context, in fleet.NodeRecord) error {
	in.Seen = workflow.Now(ctx)
	var boot fleet.Boot
	step := call.ControlStep(ctx, "record node "+in.Name, 0)
	if err := workflow.ExecuteActivity(step, control.RecordNode, in).Get(ctx, &boot); err != nil {
		return err
	}
	if err := startMonitorNode(ctx, in.Name); err != nil || !boot.New {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, ReviveNodeName, ReviveNodeInput{Node: in.Name, Boot: in.Boot, Services: boot.Services})
}

// ReviveNodeInput names a boot of a node's host, and the services that had containers
// there.
type ReviveNodeInput struct {
	Node     string   `json:"node"`
	Boot     string   `json:"boot"`
	Services []string `json:"services"`
	// Until is when to stop waiting for deploys; zero means after reviveTimeout.
	Until time.Time `json:"until,omitzero"`
}

// ReviveNode starts again the containers that a boot of a node's host has ended. It
// is a separate run, so that the worker waits only for RegisterNode, but has the id
// of RegisterNode: the next one ends it.
func ReviveNode(ctx workflow.Context, in ReviveNodeInput) error {
	if in.Until.IsZero() {
		in.Until = workflow.Now(ctx).Add(reviveTimeout)
	}
	// A service that waits for its deploy, or does not start, delays no other.
	var failed, waiting error
	var left []string
	g := call.NewGroup(ctx)
	for _, service := range in.Services {
		g.Go(func(ctx workflow.Context) error {
			err := revive(ctx, in.Node, service, in.Until)
			switch {
			case errors.Is(err, errWaits):
				waiting = err
			case err != nil:
				failed = err
			default:
				return nil
			}
			left = append(left, service)
			return nil
		})
	}
	_ = g.Wait(ctx) // its functions return no error
	switch {
	case waiting != nil:
		in.Services = slices.Sorted(slices.Values(left))
		return workflow.NewContinueAsNewError(ctx, ReviveNodeName, in)
	case failed != nil:
		return failed
	}
	step := call.ControlStep(ctx, in.Node+" is revived", 0)
	return workflow.ExecuteActivity(step, control.MarkRevived, oncontrol.MarkRevivedInput{Node: in.Node, Boot: in.Boot}).Get(ctx, nil)
}

// reviveTimeout is how long to ask whether a service is being deployed: longer than most
// deploys last. The worker's next start is the next attempt.
const reviveTimeout = time.Hour

// revive starts the containers of a service on a node that has booted, by their
// restart policies. It takes no lock: it waits for a deploy that is under way, and one
// that begins later is one that the node has seen, or that finds the containers
// started. The error is errWaits if a new run must go on waiting.
func revive(ctx workflow.Context, name, service string, deadline time.Time) error {
	for {
		var release fleet.Release
		step := call.ControlStep(ctx, "load the release of "+service, 0)
		if err := workflow.ExecuteActivity(step, control.LoadRelease, service).Get(ctx, &release); err != nil {
			return err
		}
		// In this order: a deploy that ends in between is one that has begun.
		var deploying bool
		step = call.ControlStep(ctx, "is "+service+" being deployed?", 0)
		if err := workflow.ExecuteActivity(step, control.Deploying, service).Get(ctx, &deploying); err != nil {
			return err
		}
		err := errDeploying
		if !deploying {
			err = startAgain(ctx, name, release)
		}
		if !call.IsConflict(err) || workflow.Now(ctx).After(deadline) {
			return err
		}
		if call.Spent(ctx) {
			return errWaits
		}
		if err := workflow.Sleep(ctx, call.LockPause); err != nil {
			return err
		}
	}
}

// errWaits is the error for a service whose deploy has not ended when its run must end.
var errWaits = errors.New("it still waits for a deploy")

var errDeploying error = fault.New(fault.Conflict, "a deploy is under way")

// startAgain starts the containers of a release that should run on a node. It is a
// Conflict when a newer deployment has been there.
func startAgain(ctx workflow.Context, name string, release fleet.Release) error {
	step := call.UnboundedStep(ctx, name, "survey "+name)
	var found onnode.SurveyResult
	err := workflow.ExecuteActivity(step, node.Survey, onnode.SurveyInput{
		Service: release.Service, Deployment: release.Newest, Run: release.NewestRun, Adopted: release.AdoptedOn(name),
	}).Get(ctx, &found)
	if err != nil {
		return err
	}
	start := watch.Revive(release, name, found.Checked().Containers)
	if len(start) == 0 {
		return nil
	}
	sealed, err := envelopes.ToStart(ctx, release, name, start, 0)
	if err != nil {
		return err
	}
	// The newest deployment is over; if it was undone, it is closed already.
	step = call.UnboundedStep(ctx, name, "start "+release.Service+" after a boot")
	return workflow.ExecuteActivity(step, node.Restore, onnode.RestoreInput{
		Service: release.Service, Deployment: release.Newest, Run: release.NewestRun, Closing: true, Fence: found.Fence,
		Sealed:   sealed,
		Recovery: plan.Recovery{Node: name, Start: start},
	}).Get(ctx, nil)
}
