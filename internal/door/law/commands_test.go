package law

import (
	"testing"

	"github.com/stretchr/testify/require"
	command "go.temporal.io/api/command/v1"
	"go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/identity"
)

func TestAControlWorkerGivesTheCommandsOfWorkflows(t *testing.T) {
	caller := identity.Identity{Role: identity.Control, Name: "main"}
	l := newLaw(t, answering{})
	conn := serve(t, l, &caller)
	child := func(namespace, cron string) *command.Command {
		attributes := &command.StartChildWorkflowExecutionCommandAttributes{WorkflowType: &common.WorkflowType{Name: "Mend"}, CronSchedule: cron}
		fields := attributes.ProtoReflect()
		fields.Set(fields.Descriptor().Fields().ByName("namespace"), valueOf(namespace))
		return &command.Command{
			CommandType: enums.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
			Attributes:  &command.Command_StartChildWorkflowExecutionCommandAttributes{StartChildWorkflowExecutionCommandAttributes: attributes},
		}
	}
	for name, test := range map[string]struct {
		given     *command.Command
		queue     *taskqueue.TaskQueue
		token     []byte
		permitted bool
	}{
		"a child":                      {given: child("default", ""), permitted: true},
		"a child of another namespace": {given: child("bank", "")},
		"a child with a cron":          {given: child("default", "* * * * *")},
		"a call of nexus":              {given: &command.Command{CommandType: enums.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION}},
		"a signal":                     {given: &command.Command{CommandType: enums.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION}},
		"its own sticky queue": {
			given: child("default", ""), queue: &taskqueue.TaskQueue{Name: "x", Kind: enums.TASK_QUEUE_KIND_STICKY, NormalName: "control"}, permitted: true,
		},
		"a sticky queue of another": {
			given: child("default", ""), queue: &taskqueue.TaskQueue{Name: "x", Kind: enums.TASK_QUEUE_KIND_STICKY, NormalName: "node-rift"},
		},
		"a token of an activity": {
			given: child("default", ""), token: l.tokens.wrap(caller, forActivity, []byte("task")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := &workflowservice.RespondWorkflowTaskCompletedRequest{
				Namespace: "default", TaskToken: test.token, Commands: []*command.Command{test.given},
			}
			if test.token == nil {
				in.TaskToken = l.tokens.wrap(caller, forWorkflow, []byte("task"))
			}
			if test.queue != nil {
				in.StickyAttributes = &taskqueue.StickyExecutionAttributes{WorkerTaskQueue: test.queue}
			}
			_, err := workflowservice.NewWorkflowServiceClient(conn).RespondWorkflowTaskCompleted(t.Context(), in)
			if test.permitted {
				require.NoError(t, err)
				return
			}
			require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
		})
	}
}

// Tasks that come with the answer to another one have tokens that are bound too.
func TestTokensOfTasksThatComeWithAnAnswerAreWrapped(t *testing.T) {
	caller := identity.Identity{Role: identity.Control, Name: "main"}
	c := &call{law: newLaw(t, answering{}), caller: caller}
	answer := &workflowservice.RespondWorkflowTaskCompletedResponse{
		WorkflowTask:  &workflowservice.PollWorkflowTaskQueueResponse{TaskToken: []byte("w"), NextPageToken: []byte("p")},
		ActivityTasks: []*workflowservice.PollActivityTaskQueueResponse{{TaskToken: []byte("a")}},
	}
	require.NoError(t, wrapCompletion(c, answer))
	for _, one := range []struct {
		want  string
		for_  use
		token []byte
	}{
		{"w", forWorkflow, answer.GetWorkflowTask().GetTaskToken()},
		{"p", forPage, answer.GetWorkflowTask().GetNextPageToken()},
		{"a", forActivity, answer.GetActivityTasks()[0].GetTaskToken()},
	} {
		token, ok := c.law.tokens.unwrap(caller, one.for_, one.token)
		require.True(t, ok)
		require.Equal(t, one.want, string(token))
	}
	eager := &workflowservice.StartWorkflowExecutionResponse{EagerWorkflowTask: &workflowservice.PollWorkflowTaskQueueResponse{TaskToken: []byte("e")}}
	require.NoError(t, started(c, eager))
	require.Nil(t, eager.GetEagerWorkflowTask())
}
