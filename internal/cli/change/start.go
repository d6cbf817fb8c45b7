package change

import (
	"context"
	"errors"
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
func startDeploy(ctx context.Context, s *session.Session, c client.Client, in workflows.Operation) (client.WorkflowRun, error) {
	service := in.ServiceName()
	s.Forget()
	for {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID:                                       workflows.DeployID(service),
			TaskQueue:                                workflows.Queue,
			WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
			StaticSummary:                            in.Summary(),
			StaticDetails:                            in.Details(),
			Memo:                                     in.Memo(),
			TypedSearchAttributes:                    in.Attributes(),
		}, in.Workflow(), in)
		var running *serviceerror.WorkflowExecutionAlreadyStarted
		switch {
		case err == nil:
			return run, nil
		case session.Unanswered(ctx, err):
			return begun(ctx, s, c, in)
		case !errors.As(err, &running):
			return nil, exit.Temporal(err)
		}
		run, err = attach(ctx, s, c, in, running.RunId)
		if run != nil || err != nil {
			return run, err
		}
	}
}

// begun returns the workflow of a start that had no answer in time. If none runs, it may have
// ended already: a second start would be another one.
func begun(ctx context.Context, s *session.Session, c client.Client, in workflows.Operation) (client.WorkflowRun, error) {
	service := in.ServiceName()
	s.Say("Temporal has not answered whether the %s of %s has begun; asking again", in.Word(), service)
	var found *client.WorkflowExecutionDescription
	err := session.Repeated(ctx, func() (err error) {
		found, err = c.DescribeWorkflow(ctx, workflows.DeployID(service), "")
		return err
	})
	if err != nil && !errors.As(err, new(*serviceerror.NotFound)) {
		return nil, exit.Temporal(err)
	}
	if err == nil && found.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		run := c.GetWorkflow(ctx, workflows.DeployID(service), found.WorkflowExecution.RunID)
		if theirs, err := inputOf(ctx, c, run); err == nil && theirs.Hash() == in.Hash() {
			return run, nil // also if it has succeeded meanwhile, and only retires
		}
		if run, err := attach(ctx, s, c, in, found.WorkflowExecution.RunID); run != nil || err != nil {
			return run, err
		}
	}
	return nil, exit.Unreachable(fault.New(fault.Unavailable, "start the %s of %s: Temporal did not answer in time, and none runs now", in.Word(), service).
		WithHint("whether it was done says mcp history %s; if not, %s again", service, in.Word()))
}

// attach returns the deploy that holds the lock, the given run, if it is the same one. It
// returns nil if that deploy was only retiring, and has ended; an undeploy does nothing but
// retire.
func attach(ctx context.Context, s *session.Session, c client.Client, in workflows.Operation, runID string) (client.WorkflowRun, error) {
	service := in.ServiceName()
	run := c.GetWorkflow(ctx, workflows.DeployID(service), runID)
	var theirs workflows.Operation
	var unread error
	read := make(chan struct{})
	go func() { // beside the other call: over a slow link each takes its time
		defer close(read)
		theirs, unread = inputOf(ctx, c, run)
	}()
	described, err := c.DescribeWorkflow(ctx, run.GetID(), runID)
	<-read
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
	if unread != nil {
		return nil, exit.Temporal(unread)
	}
	same := theirs.Hash() == in.Hash()
	undeploying := same && in.Removes()
	if memo(workflows.MemoPhase) == workflows.PhaseRetiring && !undeploying {
		s.Say("%s was %s a moment ago; waiting until its former containers are gone", service, theirs.Participle())
		_ = run.Get(ctx, nil) // its own command shows how it ends
		if ctx.Err() != nil {
			return nil, exit.Interrupted
		}
		return nil, nil
	}
	if same {
		s.Say("attached to the %s of %s that %s started %s ago", in.Word(), service, memo(workflows.MemoWho), time.Since(described.WorkflowStartTime).Round(time.Second))
		if ours, holds := in.Timeout(), theirs.Timeout(); ours != holds {
			s.Say("its own deadline of %s holds, not %s", holds, ours)
		}
		return run, nil
	}
	return nil, fault.New(fault.Conflict, "%s is being %s%s, by %s since %s",
		service, theirs.Participle(), difference(theirs, in), memo(workflows.MemoWho), described.WorkflowStartTime.Local().Format(time.TimeOnly)).
		WithHint("wait until it ends and %s again, or cancel it: mcp cancel %s", in.Word(), service)
}

// difference describes how two operations on a service by one verb differ; "" if the verbs
// do.
func difference(theirs, ours workflows.Operation) string {
	one, ok := theirs.(workflows.DeployInput)
	other, both := ours.(workflows.DeployInput)
	switch {
	case !ok || !both || one.Participle() != other.Participle():
		return ""
	case one.Definition.Hash() == other.Definition.Hash():
		return " with other options"
	}
	return " with another definition"
}

// inputOf reads the input of a running operation from its history.
func inputOf(ctx context.Context, c client.Client, run client.WorkflowRun) (workflows.Operation, error) {
	events := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if err != nil {
		return nil, err
	}
	started := first.GetWorkflowExecutionStartedEventAttributes()
	return workflows.OperationOf(started.GetWorkflowType().GetName(), func(into any) error {
		return converter.GetDefaultDataConverter().FromPayloads(started.GetInput(), into)
	})
}
