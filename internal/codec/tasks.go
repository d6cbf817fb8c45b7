package codec

import (
	"context"
	"time"

	"go.temporal.io/api/command/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/fault"
)

// refusalTime bounds the refusal of a task.
const refusalTime = 10 * time.Second

// worker is the process that was given a task: each request that a task answers names it.
type worker interface {
	GetNamespace() string
	GetIdentity() string
}

// tasked decrypts the tasks in a reply. One that cannot be decrypted is refused, with a
// failure that is not encrypted and has nothing of its content, and removed: the SDK
// would drop it, and its workflow would wait until it times out.
func (c *Codec) tasked(ctx context.Context, request, reply proto.Message, answer call) error {
	by, ok := request.(worker)
	if !ok {
		return c.decrypt(ctx, reply, c.decode)
	}
	refuse := func(task proto.Message) bool {
		if err := c.decrypt(ctx, task, c.decode); err != nil {
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalTime)
			defer cancel()
			c.answer(late, by, task, err, answer)
			return true
		}
		return false
	}
	switch r := reply.(type) {
	case *workflowservice.PollActivityTaskQueueResponse:
		if refuse(r) {
			proto.Reset(r) // as if there were no task
		}
	case *workflowservice.PollWorkflowTaskQueueResponse:
		if refuse(r) {
			proto.Reset(r)
		}
	case *workflowservice.RespondWorkflowTaskCompletedResponse:
		if r.WorkflowTask != nil && refuse(r.WorkflowTask) {
			r.WorkflowTask = nil
		}
		var kept []*workflowservice.PollActivityTaskQueueResponse
		for _, task := range r.ActivityTasks {
			if !refuse(task) {
				kept = append(kept, task)
			}
		}
		r.ActivityTasks = kept
	case *workflowservice.StartWorkflowExecutionResponse:
		if r.EagerWorkflowTask != nil && refuse(r.EagerWorkflowTask) {
			r.EagerWorkflowTask = nil
		}
	}
	return nil
}

// answer refuses a task. If Temporal does not take the refusal, the task times out.
func (c *Codec) answer(ctx context.Context, by worker, task proto.Message, cause error, answer call) {
	refusal := c.failureOf(by.GetIdentity(), fault.Of(cause))
	switch t := task.(type) {
	case *workflowservice.PollActivityTaskQueueResponse:
		_ = answer(ctx, workflowservice.WorkflowService_RespondActivityTaskFailed_FullMethodName, &workflowservice.RespondActivityTaskFailedRequest{
			TaskToken: t.GetTaskToken(), Namespace: by.GetNamespace(), Identity: by.GetIdentity(), Failure: refusal,
		}, &workflowservice.RespondActivityTaskFailedResponse{})
	case *workflowservice.PollWorkflowTaskQueueResponse:
		c.answerWorkflow(ctx, by, t, refusal, answer)
	}
}

// answerWorkflow refuses a workflow's task. A workflow that a client has started and that
// has done nothing yet fails: its client waits, and gets the reason. Any other one is left to
// a control worker that can read it; Temporal offers it again, ever less often.
func (c *Codec) answerWorkflow(ctx context.Context, by worker, t *workflowservice.PollWorkflowTaskQueueResponse, refusal *failure.Failure, answer call) {
	switch {
	case t.GetQuery() != nil:
		_ = answer(ctx, workflowservice.WorkflowService_RespondQueryTaskCompleted_FullMethodName, &workflowservice.RespondQueryTaskCompletedRequest{
			TaskToken: t.GetTaskToken(), Namespace: by.GetNamespace(), CompletedType: enums.QUERY_RESULT_TYPE_FAILED,
			ErrorMessage: refusal.GetMessage(), Failure: refusal,
		}, &workflowservice.RespondQueryTaskCompletedResponse{})
	case isNew(t):
		_ = answer(ctx, workflowservice.WorkflowService_RespondWorkflowTaskCompleted_FullMethodName, &workflowservice.RespondWorkflowTaskCompletedRequest{
			TaskToken: t.GetTaskToken(), Namespace: by.GetNamespace(), Identity: by.GetIdentity(),
			Commands: []*command.Command{{
				CommandType: enums.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
				Attributes: &command.Command_FailWorkflowExecutionCommandAttributes{
					FailWorkflowExecutionCommandAttributes: &command.FailWorkflowExecutionCommandAttributes{Failure: refusal},
				},
			}},
		}, &workflowservice.RespondWorkflowTaskCompletedResponse{})
	default:
		_ = answer(ctx, workflowservice.WorkflowService_RespondWorkflowTaskFailed_FullMethodName, &workflowservice.RespondWorkflowTaskFailedRequest{
			TaskToken: t.GetTaskToken(), Namespace: by.GetNamespace(), Identity: by.GetIdentity(),
			Cause: enums.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE, Failure: refusal,
		}, &workflowservice.RespondWorkflowTaskFailedResponse{})
	}
}

// isNew reports whether a task is the first of a workflow that a client has started, and
// not a schedule, another workflow, or its own former run.
func isNew(t *workflowservice.PollWorkflowTaskQueueResponse) bool {
	if t.GetPreviousStartedEventId() != 0 || len(t.GetHistory().GetEvents()) == 0 {
		return false
	}
	started := started(t.GetHistory().GetEvents())
	return started != nil && started.GetContinuedExecutionRunId() == "" && started.GetParentWorkflowExecution() == nil &&
		started.GetSearchAttributes().GetIndexedFields()["TemporalScheduledById"] == nil
}

func started(events []*history.HistoryEvent) *history.WorkflowExecutionStartedEventAttributes {
	return events[0].GetWorkflowExecutionStartedEventAttributes()
}

// source is the source of the failures with which tasks are refused.
const source = "mcp: encryption"

// IsRefusal reports whether a failure is that of a task which a worker cannot decrypt.
func IsRefusal(f *failure.Failure) bool { return f.GetSource() == source }

// failureOf returns the failure that refuses a task. It travels as a fault does, in the
// clear.
func (c *Codec) failureOf(identity string, f *fault.Error) *failure.Failure {
	named := *f
	named.Message = "the worker " + identity + " cannot do this: " + f.Message
	if c.place == theGateway {
		named.Message = "the gateway cannot give this to " + identity + ": " + f.Message
	}
	details, err := converter.GetDefaultDataConverter().ToPayloads(named)
	if err != nil {
		details = nil // the message says it too
	}
	return &failure.Failure{
		Message: named.Message,
		Source:  source,
		FailureInfo: &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{
			Type: string(f.Kind), NonRetryable: true, Details: details,
		}},
	}
}
