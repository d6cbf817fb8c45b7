package law

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/codec"
	refused "github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// storing is a Temporal that keeps the last request, and answers with what a test gives.
type storing struct {
	got     proto.Message
	answers map[string]proto.Message // by the last word of the method
}

func (s *storing) Invoke(_ context.Context, method string, in, out any, _ ...grpc.CallOption) error {
	s.got = proto.Clone(in.(proto.Message))
	if answer := s.answers[method[strings.LastIndexByte(method, '/')+1:]]; answer != nil {
		proto.Merge(out.(proto.Message), answer)
	}
	return nil
}

func (*storing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams")
}

func newKeys(t *testing.T) *codec.Codec {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encryption.keys")
	_, _, err := keyring.Add(path, false)
	require.NoError(t, err)
	keys, err := keyring.Open(path)
	require.NoError(t, err)
	return codec.New(keys, "the setting")
}

// encrypting are the options of a law behind which everything is encrypted with keys.
func encrypting(keys *codec.Codec, up grpc.ClientConnInterface) func(*Options) {
	return func(o *Options) {
		sealing := keys.AtGateway(MaxPlain)
		o.Upstream, o.Open = sealing.Conn(up), sealing.Open
	}
}

// installed is a connection like that of a client with a codec.
func installed(t *testing.T, c *codec.Codec, conn *grpc.ClientConn) workflowservice.WorkflowServiceClient {
	t.Helper()
	return workflowservice.NewWorkflowServiceClient(c.Conn(conn))
}

func deployOf(t *testing.T, service string) *workflowservice.StartWorkflowExecutionRequest {
	t.Helper()
	in, err := encode(workflows.DeployInput{Definition: servicedef.Service{Name: service, Components: []servicedef.Component{{
		Name: "api", Env: map[string]string{"TOKEN": "canary"},
	}}}, From: "canary's desk"})
	require.NoError(t, err)
	actor, err := encode(fleet.Actor{From: "canary's desk"})
	require.NoError(t, err)
	return &workflowservice.StartWorkflowExecutionRequest{
		Namespace: "default", WorkflowId: "deploy/" + service, WorkflowType: &common.WorkflowType{Name: workflows.DeployName},
		TaskQueue: &taskqueue.TaskQueue{Name: workflows.Queue}, Input: &common.Payloads{Payloads: []*common.Payload{in}},
		Header: &common.Header{Fields: map[string]*common.Payload{workflows.HeaderActor: actor}},
	}
}

// A client needs no keys: what it starts is judged in the clear, and rests encrypted.
func TestWhatAClientWithoutKeysStartsRestsEncrypted(t *testing.T) {
	keys, up := newKeys(t), &storing{}
	caller := identity.Identity{Role: identity.Deployer, Name: "anna", Services: []string{"shop"}}
	l := newLaw(t, up, encrypting(keys, up))
	conn := serve(t, l, &caller)
	for name, with := range map[string]*codec.Codec{"without keys": codec.Behind(), "with the keys of the gateway": keys} {
		c := installed(t, with, conn)
		up.got = nil
		_, err := c.StartWorkflowExecution(t.Context(), deployOf(t, "bank"))
		require.Equal(t, codes.PermissionDenied, status.Code(err), name)
		require.Nil(t, up.got, name)

		_, err = c.StartWorkflowExecution(t.Context(), deployOf(t, "shop"))
		require.NoError(t, err, name)
		text := prototext.Format(up.got)
		require.NotContains(t, text, "canary", name)

		// A control worker, which has the keys, reads all of it.
		control := &storing{answers: map[string]proto.Message{"GetWorkflowExecutionHistory": startedBy(up.got)}}
		read, err := workflowservice.NewWorkflowServiceClient(keys.Conn(control)).GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
		require.NoError(t, err)
		event := read.GetHistory().GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
		require.Contains(t, string(event.GetInput().GetPayloads()[0].GetData()), "canary", name)
		require.Contains(t, string(event.GetMemo().GetFields()[memoCaller].GetData()), "deployer/anna", name)
		actor := event.GetHeader().GetFields()[workflows.HeaderActor]
		require.Contains(t, string(actor.GetData()), "deployer/anna")
		var signature []byte
		require.NoError(t, decodeInto(event.GetHeader().GetFields()[workflows.HeaderDoor], &signature))
		require.True(t, l.WhoKey().Verify("deploy/shop", workflows.DeployName, actor.GetData(), signature), name)
	}
}

func startedBy(request proto.Message) proto.Message {
	in := request.(*workflowservice.StartWorkflowExecutionRequest)
	return &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{
		Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
			Input: in.GetInput(), Header: in.GetHeader(), Memo: in.GetMemo(),
		}},
	}}}}
}

func TestWhatIsEncryptedWithAnUnknownKeyIsRefused(t *testing.T) {
	keys, other, up := newKeys(t), newKeys(t), &storing{}
	caller := identity.Identity{Role: identity.Operator, Name: "anna"}
	conn := serve(t, newLaw(t, up, encrypting(keys, up)), &caller)
	_, err := installed(t, other, conn).StartWorkflowExecution(t.Context(), deployOf(t, "shop"))
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.ErrorContains(t, err, "the gateway refuses StartWorkflowExecution to operator/anna: what it sends is encrypted with key "+other.Keys().Ring().Keys[0].ID+
		", which the gateway does not have: it has key "+keys.Keys().Ring().Keys[0].ID+"; behind a gateway no machine needs the keys: remove [temporal] encryption_key_file")
	require.Nil(t, up.got)

	conn = serve(t, newLaw(t, up, encrypting(codec.New(nil, "the setting"), up)), &caller)
	_, err = installed(t, other, conn).StartWorkflowExecution(t.Context(), deployOf(t, "shop"))
	require.ErrorContains(t, err, "and the gateway has no encryption keys")
	require.Nil(t, up.got)

	// What rests with another key reaches the client as the fault that names it.
	given, err := other.Encode(deployOf(t, "shop").GetInput().GetPayloads())
	require.NoError(t, err)
	up.answers = map[string]proto.Message{"GetWorkflowExecutionHistory": startedBy(&workflowservice.StartWorkflowExecutionRequest{Input: &common.Payloads{Payloads: given}})}
	_, err = installed(t, codec.Behind(), conn).GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace: "default", Execution: &common.WorkflowExecution{WorkflowId: "deploy/shop"},
	})
	unread := refused.FaultOf(serviceerror.FromStatus(status.Convert(err)))
	require.NotNil(t, unread, err)
	require.Contains(t, unread.Message, "what Temporal has is encrypted with key "+other.Keys().Ring().Keys[0].ID+", and the gateway has no encryption keys")
	require.Equal(t, "copy the file of keys from another host of the fleet and name it: the setting, on the host of the gateway", unread.Hint)
}

// The task of a node comes in the clear, and its answers rest encrypted, with the key of
// the question.
func TestANodeWithoutKeysGetsItsTasksAndAnswersThem(t *testing.T) {
	keys, up := newKeys(t), &storing{}
	question, err := keys.Encode([]*common.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"canary"`)}})
	require.NoError(t, err)
	up.answers = map[string]proto.Message{"PollActivityTaskQueue": &workflowservice.PollActivityTaskQueueResponse{
		TaskToken: []byte("t"), Input: &common.Payloads{Payloads: question}, HeartbeatDetails: &common.Payloads{Payloads: question},
	}}
	conn := serve(t, newLaw(t, up, encrypting(keys, up)), &rift)
	node := installed(t, codec.Behind(), conn)
	task, err := node.PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{
		Namespace: "default", TaskQueue: &taskqueue.TaskQueue{Name: "node-rift"},
	})
	require.NoError(t, err)
	require.Equal(t, `"canary"`, string(task.GetInput().GetPayloads()[0].GetData()))
	require.Equal(t, `"canary"`, string(task.GetHeartbeatDetails().GetPayloads()[0].GetData()))
	plain := task.GetInput()
	for _, answer := range []func() error{
		func() error {
			_, err := node.RecordActivityTaskHeartbeat(t.Context(), &workflowservice.RecordActivityTaskHeartbeatRequest{Namespace: "default", TaskToken: task.GetTaskToken(), Details: plain})
			return err
		},
		func() error {
			_, err := node.RespondActivityTaskCompleted(t.Context(), &workflowservice.RespondActivityTaskCompletedRequest{Namespace: "default", TaskToken: task.GetTaskToken(), Result: plain})
			return err
		},
		func() error {
			_, err := node.RespondActivityTaskCanceled(t.Context(), &workflowservice.RespondActivityTaskCanceledRequest{Namespace: "default", TaskToken: task.GetTaskToken(), Details: plain})
			return err
		},
		func() error {
			_, err := node.RespondActivityTaskFailed(t.Context(), &workflowservice.RespondActivityTaskFailedRequest{Namespace: "default", TaskToken: task.GetTaskToken(),
				LastHeartbeatDetails: plain, Failure: &failure.Failure{Message: "canary", StackTrace: "canary", Cause: &failure.Failure{Message: "canary"}}})
			return err
		},
	} {
		require.NoError(t, answer())
		text := prototext.Format(up.got)
		require.NotContains(t, text, "canary")
		require.Contains(t, text, codec.Encoding)
		require.Equal(t, []byte("t"), up.got.(tokened).GetTaskToken())
	}
}

// A large definition compresses well: Temporal gets less than it accepts, and the client
// has nothing that compresses.
func TestALargeInputInTheClearIsSmallForTemporal(t *testing.T) {
	keys, up := newKeys(t), &storing{}
	caller := identity.Identity{Role: identity.Operator, Name: "anna"}
	conn := serve(t, newLaw(t, up, encrypting(keys, up)), &caller)
	in := deployOf(t, "shop")
	large, err := encode(workflows.DeployInput{Definition: servicedef.Service{Name: "shop", Components: []servicedef.Component{{
		Name: "api", Env: map[string]string{"TEXT": strings.Repeat("to be compressed ", 400_000)},
	}}}})
	require.NoError(t, err)
	in.Input.Payloads[0] = large
	require.Greater(t, proto.Size(in), 6<<20)
	_, err = installed(t, codec.Behind(), conn).StartWorkflowExecution(t.Context(), in)
	require.NoError(t, err)
	require.Less(t, proto.Size(up.got), 1<<20)
}

func decodeInto(p *common.Payload, value any) error {
	return converter.GetDefaultDataConverter().FromPayload(p, value)
}
