package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/watch"
)

// RegisterNode writes down that a node's worker has started: the monitor looks
// at the node from then on, and at once. After a boot of its host it goes on as
// ReviveNode.
func RegisterNode(ctx workflow.Context, in fleet.NodeRecord) error {
	in.Seen = workflow.Now(ctx)
	var boot fleet.Boot
	step := controlStep(ctx, "record node "+in.Name, 0)
	if err := workflow.ExecuteActivity(step, control.RecordNode, in).Get(ctx, &boot); err != nil {
		return err
	}
	if err := leaveLook(ctx, in.Name); err != nil || !boot.New {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, ReviveNodeName, ReviveNodeInput{Node: in.Name, Boot: in.Boot, Services: boot.Services})
}

// ReviveNodeInput names a boot of a node's host, and the services that had
// something there.
type ReviveNodeInput struct {
	Node     string   `json:"node"`
	Boot     string   `json:"boot"`
	Services []string `json:"services"`
}

// ReviveNode starts again what a boot of a node's host has ended. It is a run of
// its own, so that the worker waits for its announcement alone, but has the
// announcement's id: the next one ends it.
func ReviveNode(ctx workflow.Context, in ReviveNodeInput) error {
	// One service that waits for its deploy, or does not start, is in no
	// other's way.
	var failed error
	g := newGroup(ctx)
	for _, service := range in.Services {
		g.do(func(ctx workflow.Context) error {
			if err := revive(ctx, in.Node, service); err != nil {
				failed = err
			}
			return nil
		})
	}
	if _ = g.wait(ctx); failed != nil {
		return failed
	}
	step := controlStep(ctx, in.Node+" runs what it should", 0)
	return workflow.ExecuteActivity(step, control.MarkRevived, activities.MarkRevivedInput{Node: in.Node, Boot: in.Boot}).Get(ctx, nil)
}

const (
	// lockPause is how long to wait before looking again whether a service is
	// being deployed.
	lockPause = 5 * time.Second
	// revivePatience is for how long: more than most deploys last. The worker's
	// next start is the next try.
	revivePatience = time.Hour
)

// revive starts the containers of a service on a node that has booted, as
// their restart policies say. It takes no lock: a deploy that is under way
// comes first, and one that begins later is one that the node has seen, or that
// finds the containers started.
func revive(ctx workflow.Context, name, service string) error {
	deadline := workflow.Now(ctx).Add(revivePatience)
	for {
		var release fleet.Release
		step := controlStep(ctx, "load the release of "+service, 0)
		if err := workflow.ExecuteActivity(step, control.LoadRelease, service).Get(ctx, &release); err != nil {
			return err
		}
		// In this order: a deploy that ends in between is one that has begun.
		var deploying bool
		step = controlStep(ctx, "is "+service+" being deployed?", 0)
		if err := workflow.ExecuteActivity(step, control.Deploying, service).Get(ctx, &deploying); err != nil {
			return err
		}
		err := errDeploying
		if !deploying {
			err = startAgain(ctx, name, release)
		}
		if !isConflict(err) || workflow.Now(ctx).After(deadline) {
			return err
		}
		if err := workflow.Sleep(ctx, lockPause); err != nil {
			return err
		}
	}
}

var errDeploying error = fault.New(fault.Conflict, "a deploy is under way")

// startAgain starts what should run of a release on a node. It is a Conflict
// when a newer deployment has been there.
func startAgain(ctx workflow.Context, name string, release fleet.Release) error {
	step := patientStep(ctx, name, "look for "+release.Service)
	var found activities.SurveyResult
	err := workflow.ExecuteActivity(step, node.Survey, activities.SurveyInput{
		Service: release.Service, Deployment: release.Newest, Adopted: release.AdoptedOn(name),
	}).Get(ctx, &found)
	if err != nil {
		return err
	}
	start := watch.Revive(release, name, found.Containers)
	if len(start) == 0 {
		return nil
	}
	// The newest deployment is over; where it was undone, it is closed already.
	step = patientStep(ctx, name, "start "+release.Service+" after a boot")
	return workflow.ExecuteActivity(step, node.Restore, activities.RestoreInput{
		Service: release.Service, Deployment: release.Newest, Closing: true, Fence: found.Fence,
		Recovery: plan.Recovery{Node: name, Start: start},
	}).Get(ctx, nil)
}
