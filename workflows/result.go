package workflows

import (
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/routes"
)

// Outcome is how a deployment ended.
type Outcome string

// The outcomes. A failed or cancelled deployment has put everything back,
// unless its result is dirty.
const (
	Succeeded Outcome = "succeeded"
	Unchanged Outcome = "unchanged"
	Failed    Outcome = "failed"
	Cancelled Outcome = "cancelled"
)

// Result is how an operation ended.
type Result struct {
	Service    string            `json:"service"`
	Deployment int               `json:"deployment"`
	WorkflowID string            `json:"workflow_id"`
	RunID      string            `json:"run_id"`
	Outcome    Outcome           `json:"outcome"`
	Dirty      bool              `json:"dirty"`
	Undone     []string          `json:"undone,omitempty"`
	Error      *fault.Error      `json:"error,omitempty"`
	Components []ComponentResult `json:"components"`
	// Jobs is what becomes of the jobs.
	Jobs []plan.JobStep `json:"jobs,omitempty"`
	// Steps are the runs of the definition's steps, in their order.
	Steps []StepResult `json:"steps,omitempty"`
	// Left are containers that an adopt has not taken over, and why.
	Left []string `json:"left,omitempty"`
	// URLs are those at which edges serve the service.
	URLs []string `json:"urls,omitempty"`
	// Edges are those that serve the service, each with what keeps it from serving the
	// release.
	Edges []routes.EdgePublished `json:"edges,omitempty"`
	// Forgotten is what a purge has forgotten.
	Forgotten *fleet.Forgotten `json:"forgotten,omitempty"`
	// Retiring are the predecessors that are still to be removed. Whoever waits until
	// they are gone gets a result without them.
	Retiring  []Retiring `json:"retiring,omitempty"`
	ElapsedMS int64      `json:"elapsed_ms"`
}

// Retiring is a container that runs on beside its successor.
type Retiring struct {
	Container string `json:"container"`
	Node      string `json:"node"`
	// DrainMS is how long it serves on before it is stopped.
	DrainMS int64 `json:"drain_ms,omitempty"`
}

// Released is what a deployment records in its history when it has succeeded and goes
// on, to retire its predecessors and to prune images.
type Released struct {
	Result *Result `json:"released"`
	// Prunes is set if its builder is still to remove images.
	Prunes bool `json:"prunes,omitempty"`
}

// ComponentResult is what became of one component.
type ComponentResult struct {
	Name    string         `json:"name"`
	Node    string         `json:"node"`
	Action  plan.Action    `json:"action"`
	Image   string         `json:"image"`
	Digest  string         `json:"digest"`
	Built   bool           `json:"built"`
	Pushed  bool           `json:"pushed"`
	Ports   map[string]int `json:"ports"`
	Changes []plan.Change  `json:"changes,omitempty"`
}

// StepResult is how a run of a step has ended.
type StepResult struct {
	Name string `json:"name"`
	Node string `json:"node"`
	// Try counts its runs from 1.
	Try int `json:"try"`
	fleet.TaskResult
}

// PlanResult is what a deploy would do.
type PlanResult struct {
	Plan plan.Plan `json:"plan"`
	// Builds are the images that it would build and push first.
	Builds []string `json:"builds"`
	// Release is the number of the release that it starts from.
	Release int `json:"release"`
	// Dirty is set if an earlier deployment could not put everything back: a
	// deploy of the whole service then makes a release even if the plan has no change.
	Dirty bool `json:"dirty,omitempty"`
}

// failure is the error with which a workflow ends. It carries the fault and the
// result, so that a client has both.
func failure(outcome Outcome, f *fault.Error, result any) error {
	if outcome == Cancelled {
		return temporal.NewCanceledError(result)
	}
	return call.FailureWith(f, result)
}
