package codec_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
)

// frontend is Temporal's, as far as these tests need it: it keeps what it gets, and
// gives the answers that it is given.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	mu       sync.Mutex
	got      []proto.Message
	activity *workflowservice.PollActivityTaskQueueResponse
	workflow *workflowservice.PollWorkflowTaskQueueResponse
	history  *workflowservice.GetWorkflowExecutionHistoryResponse
	list     *workflowservice.ListWorkflowExecutionsResponse
}

func (f *frontend) keep(m proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, m)
}

// last is the last message that f has got.
func (f *frontend) last() proto.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[len(f.got)-1]
}

func (f *frontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func (f *frontend) StartWorkflowExecution(_ context.Context, r *workflowservice.StartWorkflowExecutionRequest) (*workflowservice.StartWorkflowExecutionResponse, error) {
	f.keep(r)
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "run"}, nil
}

func (f *frontend) PollActivityTaskQueue(context.Context, *workflowservice.PollActivityTaskQueueRequest) (*workflowservice.PollActivityTaskQueueResponse, error) {
	return f.activity, nil
}

func (f *frontend) PollWorkflowTaskQueue(context.Context, *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	return f.workflow, nil
}

func (f *frontend) GetWorkflowExecutionHistory(context.Context, *workflowservice.GetWorkflowExecutionHistoryRequest) (*workflowservice.GetWorkflowExecutionHistoryResponse, error) {
	return f.history, nil
}

func (f *frontend) ListWorkflowExecutions(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return f.list, nil
}

func (f *frontend) RespondActivityTaskFailed(_ context.Context, r *workflowservice.RespondActivityTaskFailedRequest) (*workflowservice.RespondActivityTaskFailedResponse, error) {
	f.keep(r)
	return &workflowservice.RespondActivityTaskFailedResponse{}, nil
}

func (f *frontend) RespondActivityTaskCompleted(_ context.Context, r *workflowservice.RespondActivityTaskCompletedRequest) (*workflowservice.RespondActivityTaskCompletedResponse, error) {
	f.keep(r)
	return &workflowservice.RespondActivityTaskCompletedResponse{}, nil
}

func (f *frontend) RecordActivityTaskHeartbeat(_ context.Context, r *workflowservice.RecordActivityTaskHeartbeatRequest) (*workflowservice.RecordActivityTaskHeartbeatResponse, error) {
	f.keep(r)
	return &workflowservice.RecordActivityTaskHeartbeatResponse{}, nil
}

func (f *frontend) RespondWorkflowTaskFailed(_ context.Context, r *workflowservice.RespondWorkflowTaskFailedRequest) (*workflowservice.RespondWorkflowTaskFailedResponse, error) {
	f.keep(r)
	return &workflowservice.RespondWorkflowTaskFailedResponse{}, nil
}

func (f *frontend) RespondWorkflowTaskCompleted(_ context.Context, r *workflowservice.RespondWorkflowTaskCompletedRequest) (*workflowservice.RespondWorkflowTaskCompletedResponse, error) {
	f.keep(r)
	return &workflowservice.RespondWorkflowTaskCompletedResponse{}, nil
}

// serve serves f, and returns a function that makes clients.
func (f *frontend) serve(t *testing.T) func(c *codec.Codec) client.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return func(c *codec.Codec) client.Client {
		o := client.Options{HostPort: listener.Addr().String(), Logger: slog.New(slog.DiscardHandler)}
		c.Install(&o)
		made, err := client.NewLazyClient(o)
		require.NoError(t, err)
		t.Cleanup(made.Close)
		return made
	}
}

// sealed is a value as a client with those keys sends it.
func sealed(t *testing.T, c *codec.Codec, value any) *common.Payloads {
	t.Helper()
	payloads, err := c.Encode(payload(t, value))
	require.NoError(t, err)
	return &common.Payloads{Payloads: payloads}
}

func TestAStartHasNothingInTheClear(t *testing.T) {
	c, _ := newCodec(t, 1)
	f := &frontend{}
	made := f.serve(t)(c)
	_, err := made.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "deploy/shop", TaskQueue: "control", Memo: map[string]any{"who": "canary"},
		StaticSummary: "canary", StaticDetails: "canary",
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword("McpService").ValueSet("shop")),
	}, "Deploy", map[string]string{"TOKEN": "canary"})
	require.NoError(t, err)
	text := prototext.Format(f.last())
	require.NotContains(t, text, "canary")
	require.Contains(t, text, "shop", "search attributes and ids stay readable")
	require.Contains(t, text, codec.Encoding)
}

func TestARequestStaysAsItIs(t *testing.T) {
	c, _ := newCodec(t, 1)
	f := &frontend{}
	service := f.serve(t)(c).WorkflowService()
	request := &workflowservice.RecordActivityTaskHeartbeatRequest{TaskToken: []byte("a"), Details: &common.Payloads{Payloads: payload(t, "canary")}}
	before := proto.Clone(request)
	_, err := service.RecordActivityTaskHeartbeat(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(before, request), "the SDK may send it again")
	require.NotContains(t, prototext.Format(f.last()), "canary")
}

func TestFailuresAreEncrypted(t *testing.T) {
	c, _ := newCodec(t, 1)
	f := &frontend{}
	service := f.serve(t)(c).WorkflowService()
	details := func(value any) *common.Payloads { return &common.Payloads{Payloads: payload(t, value)} }
	failed := func(message string, f fault.Error, final bool) *failure.Failure {
		return &failure.Failure{
			Message: message, StackTrace: "canary of a stack",
			Cause: &failure.Failure{Message: "canary of a cause"},
			FailureInfo: &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{
				Type: "Unavailable", NonRetryable: final, Details: details(f),
			}},
		}
	}
	send := func(sent *failure.Failure) (got, opened *failure.Failure) {
		t.Helper()
		_, err := service.RespondActivityTaskFailed(t.Context(), &workflowservice.RespondActivityTaskFailedRequest{TaskToken: []byte("a"), Failure: sent})
		require.NoError(t, err)
		got = f.last().(*workflowservice.RespondActivityTaskFailedRequest).GetFailure()
		require.NotContains(t, prototext.Format(got), "canary")
		f.history = &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{
			Attributes: &history.HistoryEvent_ActivityTaskFailedEventAttributes{ActivityTaskFailedEventAttributes: &history.ActivityTaskFailedEventAttributes{Failure: got}},
		}}}}
		answer, err := service.GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
		require.NoError(t, err)
		return got, answer.History.Events[0].GetActivityTaskFailedEventAttributes().GetFailure()
	}
	faultOf := func(f *failure.Failure) (read fault.Error) {
		t.Helper()
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(f.GetApplicationFailureInfo().GetDetails(), &read))
		return read
	}

	t.Run("its texts come back", func(t *testing.T) {
		_, opened := send(failed("canary", fault.Error{Kind: fault.Unavailable, Message: "canary", Hint: "canary hint"}, false))
		require.Equal(t, "canary", opened.Message)
		require.Equal(t, "canary of a stack", opened.StackTrace)
		require.Equal(t, "canary of a cause", opened.Cause.Message)
		require.Equal(t, "canary hint", faultOf(opened).Hint)
	})
	t.Run("one that is tried again keeps its message within Temporal's limit", func(t *testing.T) {
		got, opened := send(failed("canary", fault.Error{Kind: fault.Unavailable, Message: "canary", Hint: "canary hint", Log: noise(200)}, false))
		require.LessOrEqual(t, proto.Size(got), 4<<10)
		require.Equal(t, "canary", opened.Message)
		require.Equal(t, "canary hint", faultOf(opened).Hint)
		require.Empty(t, faultOf(opened).Log)
	})
	t.Run("however long that is", func(t *testing.T) {
		got, opened := send(failed("canary "+strings.Join(noise(400), ""), fault.Error{Kind: fault.Unavailable, Message: strings.Join(noise(400), "")}, false))
		require.LessOrEqual(t, proto.Size(got), 4<<10)
		require.Contains(t, opened.Message, "canary")
		require.Equal(t, "Unavailable", opened.GetApplicationFailureInfo().GetType())
	})
	t.Run("a final one is whole", func(t *testing.T) {
		log := noise(200)
		_, opened := send(failed("canary", fault.Error{Kind: fault.Unavailable, Log: log}, true))
		require.Equal(t, log, faultOf(opened).Log)
	})
}

// noise is lines that can hardly be compressed.
func noise(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = rand.Text() + rand.Text()
	}
	return lines
}

func TestATaskThatCannotBeReadIsRefused(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	id := keyed.Keys().Ring().Keys[0].ID
	f := &frontend{}
	without := codec.New(nil, setting)
	service := f.serve(t)(without).WorkflowService()
	poll := &workflowservice.PollWorkflowTaskQueueRequest{Namespace: "default", Identity: "7@rift"}
	started := func(more *history.WorkflowExecutionStartedEventAttributes) *history.History {
		more.Input = sealed(t, keyed, "canary")
		return &history.History{Events: []*history.HistoryEvent{{
			EventId: 1, Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: more},
		}}}
	}
	refused := func(got *failure.Failure) {
		t.Helper()
		require.True(t, codec.IsRefusal(got))
		require.Contains(t, got.GetMessage(), "the worker 7@rift cannot do this: what Temporal has is encrypted with key "+id)
		require.True(t, got.GetApplicationFailureInfo().GetNonRetryable())
		var read fault.Error
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(got.GetApplicationFailureInfo().GetDetails(), &read))
		require.Equal(t, fault.Unauthorized, read.Kind)
		require.Contains(t, read.Hint, setting)
	}

	t.Run("an activity fails for good", func(t *testing.T) {
		f.activity = &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("t"), Input: sealed(t, keyed, "canary")}
		task, err := service.PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{Namespace: "default", Identity: "7@rift"})
		require.NoError(t, err)
		require.Empty(t, task.GetTaskToken(), "the SDK sees no task")
		r := f.last().(*workflowservice.RespondActivityTaskFailedRequest)
		require.Equal(t, []byte("t"), r.GetTaskToken())
		refused(r.GetFailure())
		require.ErrorContains(t, without.Check(), id, "the process is not ready")
	})
	t.Run("a workflow that a client has just started fails", func(t *testing.T) {
		f.workflow = &workflowservice.PollWorkflowTaskQueueResponse{TaskToken: []byte("t"), StartedEventId: 3, History: started(&history.WorkflowExecutionStartedEventAttributes{})}
		task, err := service.PollWorkflowTaskQueue(t.Context(), poll)
		require.NoError(t, err)
		require.Empty(t, task.GetTaskToken())
		command := f.last().(*workflowservice.RespondWorkflowTaskCompletedRequest).GetCommands()[0]
		refused(command.GetFailWorkflowExecutionCommandAttributes().GetFailure())
	})
	t.Run("one that has done something waits for a worker with the key", func(t *testing.T) {
		for name, task := range map[string]*workflowservice.PollWorkflowTaskQueueResponse{
			"it has run before":    {PreviousStartedEventId: 3, History: started(&history.WorkflowExecutionStartedEventAttributes{})},
			"it goes on as new":    {History: started(&history.WorkflowExecutionStartedEventAttributes{ContinuedExecutionRunId: "before"})},
			"it is of a workflow":  {History: started(&history.WorkflowExecutionStartedEventAttributes{ParentWorkflowExecution: &common.WorkflowExecution{WorkflowId: "p"}})},
			"a schedule starts it": {History: started(&history.WorkflowExecutionStartedEventAttributes{SearchAttributes: &common.SearchAttributes{IndexedFields: map[string]*common.Payload{"TemporalScheduledById": payload(t, "monitor")[0]}}})},
		} {
			task.TaskToken = []byte("t")
			f.workflow = task
			_, err := service.PollWorkflowTaskQueue(t.Context(), poll)
			require.NoError(t, err)
			require.IsType(t, &workflowservice.RespondWorkflowTaskFailedRequest{}, f.last(), name)
			refused(f.last().(*workflowservice.RespondWorkflowTaskFailedRequest).GetFailure())
		}
	})
	t.Run("a client gets the fault of the key", func(t *testing.T) {
		f.history = &workflowservice.GetWorkflowExecutionHistoryResponse{History: started(&history.WorkflowExecutionStartedEventAttributes{})}
		_, err := service.GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
		unread := refusal.FaultOf(err)
		require.NotNil(t, unread, err)
		require.Contains(t, unread.Message, id)
		require.Contains(t, unread.Hint, setting)
	})
	t.Run("a list keeps what is not readable", func(t *testing.T) {
		f.list = &workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflow.WorkflowExecutionInfo{
			{Memo: &common.Memo{Fields: map[string]*common.Payload{"who": sealed(t, keyed, "canary").Payloads[0]}}},
			{Memo: &common.Memo{Fields: map[string]*common.Payload{"who": payload(t, "plain")[0]}}},
		}}
		got, err := service.ListWorkflowExecutions(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{})
		require.NoError(t, err)
		require.Len(t, got.GetExecutions(), 2)
	})
}

// The processes of a fleet get a new key one after the other.
func TestAnAnswerHasTheKeyOfTheQuestion(t *testing.T) {
	control, path := newCodec(t, 1)
	old := control.Keys().Ring().Keys[0].ID
	added, _, err := keyring.Add(path, false)
	require.NoError(t, err)
	asked := sealed(t, control, "question")
	_, err = keyring.Promote(path, added.ID)
	require.NoError(t, err)
	node := open(t, path)
	f := &frontend{activity: &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("t"), Input: asked}}
	service := f.serve(t)(node).WorkflowService()
	answer := func(token string) *common.Payload {
		t.Helper()
		_, err := service.RespondActivityTaskCompleted(t.Context(), &workflowservice.RespondActivityTaskCompletedRequest{
			TaskToken: []byte(token), Result: &common.Payloads{Payloads: payload(t, "answer")},
		})
		require.NoError(t, err)
		return f.last().(*workflowservice.RespondActivityTaskCompletedRequest).GetResult().GetPayloads()[0]
	}
	task, err := service.PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{})
	require.NoError(t, err)
	require.Equal(t, `"question"`, string(task.GetInput().GetPayloads()[0].GetData()))
	require.Equal(t, old, string(answer("t").GetMetadata()["encryption-key-id"]))
	require.Equal(t, added.ID, string(answer("another").GetMetadata()["encryption-key-id"]))

	f.activity = &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("plain"), Input: &common.Payloads{Payloads: payload(t, "question")}}
	_, err = service.PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{})
	require.NoError(t, err)
	require.Equal(t, "json/plain", string(answer("plain").GetMetadata()["encoding"]), "who asked has no keys")
}

func TestSummariesAreDecrypted(t *testing.T) {
	c, _ := newCodec(t, 1)
	f := &frontend{history: &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{
		UserMetadata: &sdk.UserMetadata{Summary: sealed(t, c, "start api").Payloads[0]},
	}}}}}
	got, err := f.serve(t)(c).WorkflowService().GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
	require.NoError(t, err)
	require.Equal(t, `"start api"`, string(got.History.Events[0].GetUserMetadata().GetSummary().GetData()))
}
