package workers

import (
	"context"
	"errors"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// lock reads the lock of each service: its running workflow.
type lock struct{ client client.Client }

// Open reports whether a run of a workflow is open. A workflow that an operator has
// reset goes on in a run of its own, which has the same first run.
func (l lock) Open(ctx context.Context, workflowID, runID string) (bool, error) {
	described, err := l.client.DescribeWorkflowExecution(ctx, workflowID, "") // of several runs only the last may be open
	if errors.As(err, new(*serviceerror.NotFound)) {
		return false, nil
	}
	if err != nil {
		return false, fault.Wrap(fault.Unavailable, err, "query Temporal for %s", workflowID)
	}
	last := described.GetWorkflowExecutionInfo()
	same := last.GetExecution().GetRunId() == runID || last.GetFirstRunId() == runID
	return same && last.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// Held reports whether a deploy of the service is under way.
func (l lock) Held(ctx context.Context, service string) (bool, error) {
	described, err := l.client.DescribeWorkflowExecution(ctx, workflows.DeployID(service), "")
	if errors.As(err, new(*serviceerror.NotFound)) {
		return false, nil
	}
	if err != nil {
		return false, fault.Wrap(fault.Unavailable, err, "query Temporal for a deploy of %s", service)
	}
	return described.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}
