package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
)

// Operation is what a workflow with the id of DeployID does to the service that
// it locks: a deployment (DeployInput) or a purge (PurgeInput). It is the
// workflow's input.
type Operation interface {
	// Workflow is the name of the workflow.
	Workflow() string
	ServiceName() string
	// Word names the operation, such as "deploy"; Participle is what becomes of
	// the service, such as "deployed".
	Word() string
	Participle() string
	// Removes reports whether the service's containers go without successors.
	Removes() bool
	// Timeout is how long the operation waits for what is down.
	Timeout() time.Duration
	// Hash is equal for two operations that ask for the same thing.
	Hash() string
	// Summary is the operation in a line, Details in Markdown, for Temporal's UI.
	Summary() string
	Details() string
	// Memo is what a client reads without the history, Attributes what the
	// workflow is found by.
	Memo() map[string]any
	Attributes() temporal.SearchAttributes
}

// DefaultDeadline is how long an operation or a build waits for what is down.
const DefaultDeadline = 30 * time.Minute

// Keys of the memo of an operation.
const (
	// MemoWho is who asked, and from which machine.
	MemoWho = "who"
	// MemoDefinition is the operation's hash.
	MemoDefinition = "definition"
	// MemoPhase is PhaseRetiring once a deployment has succeeded.
	MemoPhase = "phase"
)

// PhaseRetiring is the phase in which a deployment has succeeded and only its
// predecessors' containers are still to be removed.
const PhaseRetiring = "retiring"

// summarize describes an operation in a line.
func summarize(o Operation, who string) string {
	return fmt.Sprintf("%s %s for %s", o.Word(), o.ServiceName(), who)
}

// memoOf is an operation's memo.
func memoOf(o Operation, who, from string) map[string]any {
	return map[string]any{MemoWho: who + " on " + from, MemoDefinition: o.Hash()}
}
