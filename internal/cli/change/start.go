package change

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// startDeploy starts the workflow, or attaches to the one that runs. A deploy that has
// succeeded and only retires its predecessors is waited for.
func startDeploy(ctx context.Context, s *session.Session, c client.Client, in workflows.DeployInput) (client.WorkflowRun, error) {
	service := in.Definition.Name
	s.Forget()
	for {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID:                                       workflows.DeployID(service),
			TaskQueue:                                workflows.Queue,
			WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
			StaticSummary:                            in.Summary(),
			StaticDetails:                            deployDetails(in),
			Memo:                                     in.Memo(),
			TypedSearchAttributes:                    in.Attributes(),
		}, in.Workflow(), in)
		var running *serviceerror.WorkflowExecutionAlreadyStarted
		if err == nil {
			return run, nil
		}
		if !errors.As(err, &running) {
			return nil, exit.Temporal(err)
		}
		run, err = attach(ctx, s, c, in)
		if run != nil || err != nil {
			return run, err
		}
	}
}

// attach returns the deploy that holds the lock if it is the same one. It returns
// nothing where that deploy was only retiring, and has ended; to retire is all that an
// undeploy does.
func attach(ctx context.Context, s *session.Session, c client.Client, in workflows.DeployInput) (client.WorkflowRun, error) {
	service := in.Definition.Name
	id := workflows.DeployID(service)
	described, err := c.DescribeWorkflow(ctx, id, "")
	if err != nil {
		return nil, exit.Temporal(err)
	}
	if described.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, nil
	}
	memo := func(key string) string {
		value := ""
		if payload, ok := described.Memo.GetFields()[key]; ok {
			_ = converter.GetDefaultDataConverter().FromPayload(payload, &value) // an unreadable memo is none
		}
		return value
	}
	run := c.GetWorkflow(ctx, id, described.WorkflowExecution.RunID)
	theirs, err := inputOf(ctx, c, run)
	if err != nil {
		return nil, exit.Temporal(err)
	}
	same := workflows.DeployHash(theirs) == workflows.DeployHash(in)
	undeploying := same && in.Undeploy
	if memo(workflows.MemoPhase) == workflows.PhaseRetiring && !undeploying {
		s.Say("%s was %s a moment ago; waiting until its former containers are gone", service, participle(theirs))
		_ = run.Get(ctx, nil) // its own command shows how it ends
		if ctx.Err() != nil {
			return nil, exit.Interrupted
		}
		return nil, nil
	}
	if same {
		s.Say("attached to the %s of %s that %s started %s ago", in.Verb(), service, memo(workflows.MemoWho), time.Since(described.WorkflowStartTime).Round(time.Second))
		if ours, holds := cmp.Or(in.Deadline, workflows.DefaultDeadline), cmp.Or(theirs.Deadline, workflows.DefaultDeadline); ours != holds {
			s.Say("its own deadline of %s holds, not %s", holds, ours)
		}
		return run, nil
	}
	return nil, fault.New(fault.Conflict, "%s is being %s%s, by %s since %s",
		service, participle(theirs), difference(theirs, in), memo(workflows.MemoWho), described.WorkflowStartTime.Local().Format(time.TimeOnly)).
		WithHint("wait until it ends and %s again, or cancel it: mcp cancel %s", in.Verb(), service)
}

// participle names what a deploy does to its service.
func participle(in workflows.DeployInput) string {
	switch in.Verb() {
	case workflows.VerbUndeploy:
		return "undeployed"
	case workflows.VerbAdopt:
		return "adopted"
	case workflows.VerbStop:
		return "stopped"
	case workflows.VerbStart, workflows.VerbRestart:
		return in.Verb() + "ed"
	case workflows.VerbPurge:
		return "purged"
	}
	return "deployed"
}

// difference names how two deploys of a service by one verb differ.
func difference(theirs, ours workflows.DeployInput) string {
	switch {
	case theirs.Undeploy || ours.Undeploy, theirs.Adopt != ours.Adopt, theirs.Turn != ours.Turn:
		return ""
	case theirs.Definition.Hash() == ours.Definition.Hash():
		return " with other options"
	}
	return " with another definition"
}

// inputOf reads the input of a running deploy from its history.
func inputOf(ctx context.Context, c client.Client, run client.WorkflowRun) (in workflows.DeployInput, err error) {
	events := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if err != nil {
		return in, err
	}
	err = converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	return in, err
}

// deployDetails is the text of a deploy in Temporal's UI, in Markdown.
func deployDetails(in workflows.DeployInput) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**, asked for by %s on %s\n\n", in.Definition.Name, in.Who, in.From)
	for _, c := range in.Definition.Components {
		fmt.Fprintf(&b, "- `%s` on %s: `%s`\n", c.Name, c.Node, c.Image)
	}
	return b.String()
}
