package codec_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/update/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/door/law"
	"github.com/metacircular/mcp/internal/identity"
)

// recorder is a connection to a Temporal that keeps what it gets, and gives one answer.
type recorder struct {
	got    []proto.Message
	answer proto.Message
}

func (r *recorder) Invoke(_ context.Context, _ string, in, out any, _ ...grpc.CallOption) error {
	r.got = append(r.got, proto.Clone(in.(proto.Message)))
	if r.answer != nil && r.answer.ProtoReflect().Descriptor() == out.(proto.Message).ProtoReflect().Descriptor() {
		proto.Merge(out.(proto.Message), r.answer)
	}
	return nil
}

func (*recorder) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams")
}

// walker visits every payload and failure of a message by reflection, so that a field which
// the generated visitors leave out is found. It fills what is missing first.
type walker struct {
	t       *testing.T
	variant int
	most    int // the largest oneof that was seen
	fill    bool
	payload func(*common.Payload)
	failure func(*failure.Failure)
}

const maxDepth = 12

func (w *walker) walk(m protoreflect.Message, depth int, above ...protoreflect.FullName) {
	name := m.Descriptor().FullName()
	switch message := m.Interface().(type) {
	case *common.Payload:
		w.payload(message)
		return
	case *common.SearchAttributes:
		return // Temporal indexes them
	case *anypb.Any:
		if w.fill && above[len(above)-1] == "temporal.api.protocol.v1.Message" {
			require.NoError(w.t, message.MarshalFrom(&update.Request{Input: &update.Input{Args: &common.Payloads{Payloads: []*common.Payload{{}}}}}))
		}
		if message.GetTypeUrl() != "" {
			inner, err := message.UnmarshalNew()
			require.NoError(w.t, err)
			w.walk(inner.ProtoReflect(), depth+1, append(above, name)...)
			require.NoError(w.t, message.MarshalFrom(inner))
		}
		return
	case *failure.Failure:
		w.failure(message)
	}
	times := 0
	for _, n := range above {
		if n == name {
			times++
		}
	}
	if depth > maxDepth || times > 1 {
		return
	}
	above = append(above, name)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil && !field.IsMap() {
			continue
		}
		if name == "temporal.api.failure.v1.Failure" && field.Name() == "encoded_attributes" && w.fill {
			continue
		}
		if one := field.ContainingOneof(); w.fill && one != nil {
			w.most = max(w.most, one.Fields().Len())
			if one.Fields().Get(w.variant%one.Fields().Len()) != field {
				continue
			}
		}
		switch {
		case field.IsMap():
			if field.MapValue().Message() == nil {
				continue
			}
			entries := m.Get(field).Map()
			if w.fill {
				entries = m.Mutable(field).Map()
				entries.Mutable(mapKey(field.MapKey()))
			}
			entries.Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				w.walk(v.Message(), depth+1, above...)
				return true
			})
		case field.IsList():
			list := m.Get(field).List()
			if w.fill {
				list = m.Mutable(field).List()
				list.AppendMutable()
			}
			for j := range list.Len() {
				w.walk(list.Get(j).Message(), depth+1, above...)
			}
		case w.fill:
			w.walk(m.Mutable(field).Message(), depth+1, above...)
		case m.Has(field):
			w.walk(m.Get(field).Message(), depth+1, above...)
		}
	}
}

func mapKey(field protoreflect.FieldDescriptor) protoreflect.MapKey {
	if field.Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString("key").MapKey()
	}
	return field.Default().MapKey()
}

func canary(p *common.Payload) {
	p.Metadata = map[string][]byte{"encoding": []byte("json/plain")}
	p.Data = []byte(`"canary"`)
}

func isCanary(p *common.Payload) bool { return string(p.GetData()) == `"canary"` }

func isSealed(p *common.Payload) bool {
	return string(p.GetMetadata()["encoding"]) == codec.Encoding && !bytes.Contains(p.GetData(), []byte("canary"))
}

// permitted are the messages of all methods that some identity may call at the door.
func permitted(t *testing.T) map[string][2]protoreflect.MessageType {
	t.Helper()
	found := map[string][2]protoreflect.MessageType{}
	service, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(workflowservice.WorkflowService_ServiceDesc.ServiceName))
	require.NoError(t, err)
	methods := service.(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		full := "/" + string(service.FullName()) + "/" + string(method.Name())
		for _, role := range identity.Roles() {
			if !law.Permits(full, role) {
				continue
			}
			in, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
			require.NoError(t, err)
			out, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
			require.NoError(t, err)
			found[full] = [2]protoreflect.MessageType{in, out}
		}
	}
	require.Greater(t, len(found), 25)
	return found
}

// Whatever a caller may send is encrypted on its way to Temporal, in whatever field it is,
// and what Temporal answers is decrypted.
func TestAGatewayLeavesNothingInTheClear(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	up := &recorder{}
	conn := keyed.AtGateway(law.MaxPlain).Conn(up)
	requests, answers, most := 0, 0, 1
	for full, messages := range permitted(t) {
		for variant := 0; variant < most; variant++ {
			filling := &walker{t: t, variant: variant, fill: true, payload: canary, failure: func(f *failure.Failure) {
				f.Message, f.StackTrace = "canary", "canary of a stack"
			}}
			request := messages[0].New()
			filling.walk(request, 0)
			most = max(most, filling.most)
			up.got, up.answer = nil, nil
			require.NoError(t, conn.Invoke(t.Context(), full, request.Interface(), messages[1].New().Interface()))
			(&walker{t: t, payload: func(p *common.Payload) {
				requests++
				require.True(t, isSealed(p), "%s, variant %d: %s", full, variant, p)
			}, failure: func(f *failure.Failure) {
				require.Equal(t, "Encoded failure", f.GetMessage(), full)
				require.Empty(t, f.GetStackTrace(), full)
			}}).walk(up.got[0].ProtoReflect(), 0)

			answer := messages[1].New()
			filling.walk(answer, 0)
			switch a := answer.Interface().(type) {
			case *workflowservice.GetWorkflowExecutionHistoryResponse:
				a.RawHistory = nil // a test of its own
			case *workflowservice.RespondActivityTaskFailedResponse:
				a.Failures = nil // Temporal's own, which it says of the request
			}
			most = max(most, filling.most)
			(&walker{t: t, failure: func(f *failure.Failure) {
				require.NoError(t, converter.EncodeCommonFailureAttributes(converter.GetDefaultDataConverter(), f))
			}, payload: func(p *common.Payload) {
				encoded, err := keyed.Encode([]*common.Payload{p})
				require.NoError(t, err)
				p.Metadata, p.Data = encoded[0].Metadata, encoded[0].Data
			}}).walk(answer, 0)
			up.answer = answer.Interface()
			got := messages[1].New()
			require.NoError(t, conn.Invoke(t.Context(), full, messages[0].New().Interface(), got.Interface()))
			(&walker{t: t, payload: func(p *common.Payload) {
				answers++
				require.True(t, isCanary(p), "%s, variant %d: %s", full, variant, p)
			}, failure: func(f *failure.Failure) {
				require.Equal(t, "canary", f.GetMessage(), full)
				require.Equal(t, "canary of a stack", f.GetStackTrace(), full)
			}}).walk(got, 0)
		}
	}
	require.Greater(t, most, 50, "each kind of event")
	t.Logf("%d payloads of requests and %d of answers, in %d variants", requests, answers, most)
}

func TestAGatewayOpensWhatAClientHasEncrypted(t *testing.T) {
	keyed, path := newCodec(t, 1)
	other, _ := newCodec(t, 1)
	gateway := open(t, path).AtGateway(law.MaxPlain)
	request := func(p *common.Payloads) *workflowservice.RespondActivityTaskFailedRequest {
		return &workflowservice.RespondActivityTaskFailedRequest{LastHeartbeatDetails: p, Failure: &failure.Failure{Message: "x"}}
	}
	opened := request(sealed(t, keyed, "canary"))
	require.NoError(t, gateway.Open(t.Context(), opened))
	require.True(t, isCanary(opened.GetLastHeartbeatDetails().GetPayloads()[0]))

	plain := request(&common.Payloads{Payloads: payload(t, "canary")})
	require.NoError(t, gateway.Open(t.Context(), plain))
	require.True(t, isCanary(plain.GetLastHeartbeatDetails().GetPayloads()[0]))

	id := other.Keys().Ring().Keys[0].ID
	err := gateway.Open(t.Context(), request(sealed(t, other, "canary")))
	require.ErrorContains(t, err, "what it sends is encrypted with key "+id+", which the gateway does not have: it has key ")
	err = codec.New(nil, setting).AtGateway(law.MaxPlain).Open(t.Context(), request(sealed(t, other, "canary")))
	require.ErrorContains(t, err, "and the gateway has no encryption keys")

	require.NoError(t, gateway.Check(), "what a client sends does not make the gateway unready")
}

func TestAGatewayWithoutTheKeyRefusesATask(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	other, _ := newCodec(t, 1)
	gateway := other.AtGateway(law.MaxPlain)
	up := &recorder{answer: &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("t"), Input: sealed(t, keyed, "canary")}}
	client := workflowservice.NewWorkflowServiceClient(gateway.Conn(up))
	task, err := client.PollActivityTaskQueue(t.Context(), &workflowservice.PollActivityTaskQueueRequest{Namespace: "default", Identity: "node/rift"})
	require.NoError(t, err)
	require.Empty(t, task.GetTaskToken())
	refused := up.got[1].(*workflowservice.RespondActivityTaskFailedRequest).GetFailure()
	require.Contains(t, refused.GetMessage(), "the gateway cannot give this to node/rift: what Temporal has is encrypted with key "+keyed.Keys().Ring().Keys[0].ID+", which ")
	require.Contains(t, refused.GetMessage(), " of the gateway (key "+other.Keys().Ring().Keys[0].ID+") does not have")
	require.ErrorContains(t, gateway.Check(), "does not have")
}

// A client behind a gateway has no keys, and says where they are missing.
func TestAClientBehindAGatewayNamesTheGateway(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	f := &frontend{history: &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{
		Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
			Input: sealed(t, keyed, "canary"),
		}},
	}}}}}
	_, err := f.serve(t)(codec.Behind()).WorkflowService().GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
	unread := refusal.FaultOf(err)
	require.NotNil(t, unread, err)
	require.Contains(t, unread.Message, "and the gateway has not decrypted it")
	require.Contains(t, unread.Hint, "give every gateway the file of keys")
}

// What compresses well could fill the memory of a gateway.
func TestAGatewayReadsNoMoreThanItMay(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	gateway := keyed.AtGateway(1 << 20)
	page := &common.Payloads{}
	for range 3 {
		page.Payloads = append(page.Payloads, sealed(t, keyed, strings.Repeat("canary", 80_000)).Payloads...)
	}
	up := &recorder{answer: &workflowservice.GetWorkflowExecutionHistoryResponse{History: &history.History{Events: []*history.HistoryEvent{{
		Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{Input: page}},
	}}}}}
	require.Less(t, proto.Size(up.answer), 20_000)
	client := workflowservice.NewWorkflowServiceClient(gateway.Conn(up))
	_, err := client.GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
	require.ErrorContains(t, err, "a message may have 1048576 bytes")
	require.NoError(t, gateway.Check(), "that is not for lack of a key")
	page.Payloads = page.Payloads[:2]
	_, err = client.GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
	require.NoError(t, err)
	page.Payloads = append(page.Payloads, page.Payloads...)
	require.ErrorContains(t, gateway.Open(t.Context(), &workflowservice.RespondActivityTaskCompletedRequest{Result: page}), "a message may have 1048576 bytes")
}

// A server may be configured to give histories as they are stored.
func TestAHistoryAsItIsStoredIsDecrypted(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	stored, err := proto.Marshal(&history.History{Events: []*history.HistoryEvent{{
		EventId: 1, Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
			Input: sealed(t, keyed, "canary"),
		}},
	}}})
	require.NoError(t, err)
	up := &recorder{answer: &workflowservice.GetWorkflowExecutionHistoryResponse{
		RawHistory: []*common.DataBlob{{EncodingType: enums.ENCODING_TYPE_PROTO3, Data: stored}, {EncodingType: enums.ENCODING_TYPE_PROTO3, Data: stored}},
	}}
	client := workflowservice.NewWorkflowServiceClient(keyed.AtGateway(law.MaxPlain).Conn(up))
	got, err := client.GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{})
	require.NoError(t, err)
	require.Empty(t, got.GetRawHistory())
	require.Len(t, got.GetHistory().GetEvents(), 2)
	require.True(t, isCanary(got.GetHistory().GetEvents()[1].GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()[0]))
}
