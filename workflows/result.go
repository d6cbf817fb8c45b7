package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
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

// DeployInput is what a deploy depends on: the whole definition, so that no
// file can change under it.
type DeployInput struct {
	Definition servicedef.Service `json:"definition"`
	// Only names the components to deploy; empty means all.
	Only []string `json:"only,omitempty"`
	// Force replaces what has not changed.
	Force bool `json:"force,omitempty"`
	// Deadline is how long to wait for what is down; DefaultDeadline if zero.
	Deadline time.Duration `json:"deadline,omitempty"`
	// Builder is the builder that has the sources; "" if there is none.
	Builder string `json:"builder,omitempty"`
	// Rollback is the number of the release that this brings back; 0 for a
	// deploy. Digests are then what its images stood for: they run again,
	// wherever the tags point now, and nothing is built.
	Rollback int               `json:"rollback,omitempty"`
	Digests  map[string]string `json:"digests,omitempty"`
	// Undeploy removes the service that the definition names; the rest of the
	// definition is then the release's, without a component.
	Undeploy bool `json:"undeploy,omitempty"`
	// Reconcile is set where the monitor brings back the release that should
	// run: a Rollback to the release itself.
	Reconcile bool `json:"reconcile,omitempty"`
	// Adopt takes the containers that run, and that mcp has not started, for
	// the definition's components; no container is touched.
	Adopt bool `json:"adopt,omitempty"`
	// Turn is VerbStop, VerbStart or VerbRestart where the release itself is
	// stopped, started or made to run anew; "" else. The definition, which need
	// have no more than a name, is then the release's, and so are the digests.
	// VerbPurge is for Purge alone.
	Turn string `json:"turn,omitempty"`
	// Who asked, and from which machine.
	Who  string `json:"who"`
	From string `json:"from"`
}

// given is the definition that the operator has written; nil where the verb
// goes by another.
func (in DeployInput) given() *servicedef.Service {
	if in.Undeploy || in.Rollback != 0 || in.Turn != "" {
		return nil
	}
	return &in.Definition
}

// What the registry calls a deployment.
const (
	VerbDeploy   = "deploy"
	VerbRollback = "rollback"
	// VerbUndeploy removed its service: its release has nothing to go back to.
	VerbUndeploy = "undeploy"
	// VerbReconcile brought back the release before it.
	VerbReconcile = "reconcile"
	VerbAdopt     = "adopt"
	// These three left the release's definition as it was, but for whether it
	// is active.
	VerbStop    = "stop"
	VerbStart   = "start"
	VerbRestart = "restart"
)

// VerbPurge is no deployment's: none is left.
const VerbPurge = "purge"

// Workflow is the name of the workflow that does it.
func (in DeployInput) Workflow() string {
	if in.Turn == VerbPurge {
		return PurgeName
	}
	return DeployName
}

// Verb is what the registry calls the deployment.
func (in DeployInput) Verb() string {
	switch {
	case in.Turn != "":
		return in.Turn
	case in.Undeploy:
		return VerbUndeploy
	case in.Reconcile:
		return VerbReconcile
	case in.Adopt:
		return VerbAdopt
	case in.Rollback != 0:
		return VerbRollback
	}
	return VerbDeploy
}

// Summary is the deploy in a line, for Temporal's UI.
func (in DeployInput) Summary() string {
	return fmt.Sprintf("%s %s for %s", in.Verb(), in.Definition.Name, in.Who)
}

// Memo is what a client reads of the deploy without its history.
func (in DeployInput) Memo() map[string]any {
	return map[string]any{MemoWho: in.Who + " on " + in.From, MemoDefinition: DeployHash(in)}
}

// Attributes are what the deploy is found by.
func (in DeployInput) Attributes() temporal.SearchAttributes {
	return temporal.NewSearchAttributes(SearchService.ValueSet(in.Definition.Name), SearchNode.ValueSet(Nodes(in.Definition)))
}

// Result is what a changing verb tells at its end.
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
	// Left are containers that an adopt has left alone, and why.
	Left []string `json:"left,omitempty"`
	// Forgotten is what a purge has forgotten.
	Forgotten *fleet.Forgotten `json:"forgotten,omitempty"`
	ElapsedMS int64            `json:"elapsed_ms"`
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

// failure is a workflow's own error: it carries the fault and the result, so
// that a client has both.
func failure(outcome Outcome, f *fault.Error, result any) error {
	if outcome == Cancelled {
		return temporal.NewCanceledError(result)
	}
	return temporal.NewApplicationErrorWithOptions(f.Message, string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{*f, result},
	})
}

// ResultOf finds the result that a failed or cancelled workflow carries in
// its error, into out; false if there is none.
func ResultOf(err error, out any) bool {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.HasDetails() {
		return app.Details(&fault.Error{}, out) == nil
	}
	var cancelled *temporal.CanceledError
	if errors.As(err, &cancelled) && cancelled.HasDetails() {
		return cancelled.Details(out) == nil
	}
	return false
}
