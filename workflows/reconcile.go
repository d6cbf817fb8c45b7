package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// reconcileTimeout is how long a reconcile, which no operator asked for, waits for
// what is down, and holds the service's lock.
const reconcileTimeout = 5 * time.Minute

// Reconcile deploys a release again, after an observation of a node. A deploy of the
// service that is under way takes its place. It does not wait for the deploy.
func Reconcile(ctx workflow.Context, name string, release fleet.Snapshot) error {
	in := DeployInput{
		Verb: fleet.VerbReconcile, Definition: release.Definition, Release: release.Number, Digests: release.Digests,
		Deadline: reconcileTimeout, Who: "monitor", From: name,
	}
	return call.StartDetached(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: DeployID(release.Definition.Name), StaticSummary: in.Summary(), Memo: in.Memo(), TypedSearchAttributes: in.Attributes(),
	}, in.Workflow(), in)
}
