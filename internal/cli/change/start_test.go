package change

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// hanging is a Temporal that carries out a start, and answers neither that nor the first
// question.
type hanging struct {
	client.Client
	status enums.WorkflowExecutionStatus // what the start has become
	in     workflows.DeployInput         // what runs
	// retires is set where it has succeeded, and only retires.
	retires bool
	starts  int
	asked   int
}

func (h *hanging) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	h.starts++
	return nil, context.DeadlineExceeded
}

func (h *hanging) DescribeWorkflow(context.Context, string, string) (*client.WorkflowExecutionDescription, error) {
	h.asked++
	if h.asked == 1 {
		return nil, serviceerror.NewDeadlineExceeded("no answer")
	}
	if h.status == enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		return nil, serviceerror.NewNotFound("no workflow")
	}
	d := &client.WorkflowExecutionDescription{}
	d.Status, d.WorkflowExecution.RunID = h.status, "run"
	phase, err := converter.GetDefaultDataConverter().ToPayload(workflows.PhaseRetiring)
	if h.retires {
		d.Memo = &common.Memo{Fields: map[string]*common.Payload{workflows.MemoPhase: phase}}
	}
	return d, err
}

func (h *hanging) GetWorkflow(context.Context, string, string) client.WorkflowRun { return begunRun{} }

func (h *hanging) GetWorkflowHistory(context.Context, string, string, bool, enums.HistoryEventFilterType) client.HistoryEventIterator {
	return h
}

func (h *hanging) HasNext() bool { return true }

func (h *hanging) Next() (*history.HistoryEvent, error) {
	input, err := converter.GetDefaultDataConverter().ToPayloads(h.in)
	return &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
			WorkflowType: &common.WorkflowType{Name: h.in.Workflow()}, Input: input,
		},
	}}, err
}

// begunRun is the workflow that the start has begun.
type begunRun struct{ client.WorkflowRun }

func (begunRun) GetID() string    { return "deploy/shop" }
func (begunRun) GetRunID() string { return "run" }

// A start that is not answered in time is made once: what it has begun is attached to, and
// where nothing runs the error says how to find out.
func TestAStartWithoutAnAnswer(t *testing.T) {
	in := workflows.DeployInput{Verb: fleet.VerbDeploy, Definition: servicedef.Service{Name: "shop"}}
	other := in
	other.Verb = fleet.VerbRestart
	for name, test := range map[string]struct {
		status  enums.WorkflowExecutionStatus
		in      workflows.DeployInput
		retires bool
		err     string // "" where the command goes on
	}{
		"it runs":        {enums.WORKFLOW_EXECUTION_STATUS_RUNNING, in, false, ""},
		"it retires":     {enums.WORKFLOW_EXECUTION_STATUS_RUNNING, in, true, ""},
		"another runs":   {enums.WORKFLOW_EXECUTION_STATUS_RUNNING, other, false, "shop is being restarted"},
		"it has ended":   {enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, in, false, "none runs now"},
		"it never began": {enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, in, false, "none runs now"},
		"it has failed":  {enums.WORKFLOW_EXECUTION_STATUS_FAILED, in, false, "none runs now"},
	} {
		t.Run(name, func(t *testing.T) {
			temporal, said := &hanging{status: test.status, in: test.in, retires: test.retires}, &bytes.Buffer{}
			s := &session.Session{Console: ui.Console{Stdout: said, Stderr: said}, Getenv: func(string) string { return "" }}
			run, err := startDeploy(t.Context(), s, temporal, in)
			require.Equal(t, 1, temporal.starts)
			require.Contains(t, said.String(), "asking again")
			if test.err == "" {
				require.NoError(t, err)
				require.Equal(t, "run", run.GetRunID())
				return
			}
			require.ErrorContains(t, err, test.err)
			require.Equal(t, test.err == "none runs now", exit.IsUnreachable(err))
		})
	}
}

// A start whose id no other has is repeated.
func TestAStartIsRepeated(t *testing.T) {
	calls := 0
	err := session.Repeated(t.Context(), func() error {
		if calls++; calls < 3 {
			return context.DeadlineExceeded
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, calls)

	calls = 0
	failed := errors.New("it was refused")
	require.ErrorIs(t, session.Repeated(t.Context(), func() error { calls++; return failed }), failed)
	require.Equal(t, 1, calls)

	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err = session.Repeated(ctx, func() error { calls++; cancel(); return context.DeadlineExceeded })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1, calls, "the command was interrupted")
}
