package codec

import (
	"context"
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
)

// Install makes a client, and the workers that use it, encrypt all that they give to
// Temporal. It works on the calls rather than in a data converter, because only there is
// nothing left out: memos, headers, the arguments of schedules, summaries, heartbeats,
// and histories that the command line reads.
func (c *Codec) Install(o *client.Options) {
	o.ConnectionOptions.DialOptions = append(slices.Clone(o.ConnectionOptions.DialOptions), grpc.WithChainUnaryInterceptor(c.intercept))
}

// call makes one call to Temporal.
type call func(ctx context.Context, method string, request, reply proto.Message) error

// intercept is a grpc.UnaryClientInterceptor.
func (c *Codec) intercept(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	return c.exchange(ctx, method, in, out, func(ctx context.Context, method string, in, out any) error {
		return invoke(ctx, method, in, out, cc, o...)
	})
}

// exchange makes one call, by send.
func (c *Codec) exchange(ctx context.Context, method string, in, out any, send func(ctx context.Context, method string, in, out any) error) error {
	request, isProto := in.(proto.Message)
	reply, ok := out.(proto.Message)
	if !isProto || !ok {
		return send(ctx, method, in, out)
	}
	request, err := c.outgoing(ctx, request)
	if err != nil {
		return err
	}
	if err := send(ctx, method, request, reply); err != nil {
		return c.incomingError(ctx, err)
	}
	return c.incoming(ctx, request, reply, func(ctx context.Context, method string, request, reply proto.Message) error {
		return send(ctx, method, request, reply)
	})
}

// outgoing returns the request with its payloads and failures encrypted. The request
// itself stays: the SDK may send it again, and goes on using its parts.
func (c *Codec) outgoing(ctx context.Context, request proto.Message) (proto.Message, error) {
	key, ok := c.answering(request)
	if !ok {
		return request, nil
	}
	for _, shorten := range shortenings {
		encrypted := proto.Clone(request)
		shorten(encrypted)
		if err := sealFailures(ctx, encrypted); err != nil {
			return nil, err
		}
		err := visitPayloads(ctx, encrypted, func(payloads []*common.Payload) ([]*common.Payload, error) { return encode(key, payloads) })
		if err != nil {
			return nil, err
		}
		if fits(encrypted) {
			return encrypted, nil
		}
	}
	return nil, fault.New(fault.Internal, "shorten the failure of an activity: it is too large for Temporal")
}

// answering returns the key for a request: that of the question which an activity
// answers, or the current one.
func (c *Codec) answering(request proto.Message) (keyring.Key, bool) {
	if answer, ok := request.(interface{ GetTaskToken() []byte }); ok && c.keys != nil {
		if id, known := c.asked.get(answer.GetTaskToken()); known {
			if id == "" {
				return keyring.Key{}, false
			}
			if key, ok := c.keys.Find(id); ok {
				return key, true
			}
		}
	}
	return c.current()
}

// incoming decrypts a reply. If it cannot, a task is refused, and a list or a description
// keeps what is not readable; any other reply is an error.
func (c *Codec) incoming(ctx context.Context, request, reply proto.Message, answer call) error {
	if err := readRaw(reply); err != nil {
		return err
	}
	switch r := reply.(type) {
	case *workflowservice.PollActivityTaskQueueResponse:
		if asked := r.GetInput().GetPayloads(); len(asked) > 0 {
			c.asked.put(r.GetTaskToken(), keyOf(asked[0]))
		}
		return c.tasked(ctx, request, reply, answer)
	case *workflowservice.PollWorkflowTaskQueueResponse, *workflowservice.RespondWorkflowTaskCompletedResponse, *workflowservice.StartWorkflowExecutionResponse:
		return c.tasked(ctx, request, reply, answer)
	case *workflowservice.ListWorkflowExecutionsResponse, *workflowservice.DescribeWorkflowExecutionResponse, *workflowservice.ListSchedulesResponse:
		return c.decrypt(ctx, reply, c.decodeSome)
	}
	return c.decrypt(ctx, reply, c.decode)
}

// keyOf returns the name of the key with which a payload is encrypted; "" if it is not.
func keyOf(p *common.Payload) string {
	if !isEncrypted(p) {
		return ""
	}
	return string(p.Metadata[metaKey])
}

// decrypt decodes the payloads and the failures of a message in place.
func (c *Codec) decrypt(ctx context.Context, message proto.Message, decode func([]*common.Payload, *budget) ([]*common.Payload, error)) error {
	within := c.budget()
	err := visitPayloads(ctx, message, func(payloads []*common.Payload) ([]*common.Payload, error) { return decode(payloads, within) })
	if err != nil {
		return err
	}
	return openFailures(ctx, message)
}

// incomingError decrypts what Temporal puts into an error: the failure of a query.
func (c *Codec) incomingError(ctx context.Context, err error) error {
	s, ok := status.FromError(err)
	if !ok || len(s.Proto().GetDetails()) == 0 {
		return err
	}
	answer := s.Proto()
	for _, detail := range answer.Details {
		switch string(detail.MessageName()) {
		case "temporal.api.errordetails.v1.QueryFailedFailure", "temporal.api.errordetails.v1.MultiOperationExecutionFailure":
			if err := c.decrypt(ctx, detail, c.decode); err != nil {
				return err
			}
		}
	}
	return status.ErrorProto(answer)
}

// visitPayloads replaces every payload of a message except search attributes, which
// Temporal indexes.
func visitPayloads(ctx context.Context, message proto.Message, replace func([]*common.Payload) ([]*common.Payload, error)) error {
	return proxy.VisitPayloads(ctx, message, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*common.Payload) ([]*common.Payload, error) {
			return replace(payloads)
		},
	})
}

// sealFailures moves messages and stack traces of failures into payloads, as the SDK's
// failure converter does when it encodes common attributes.
func sealFailures(ctx context.Context, message proto.Message) error {
	if r, ok := message.(*workflowservice.RespondQueryTaskCompletedRequest); ok && r.GetErrorMessage() != "" {
		r.ErrorMessage = hidden
	}
	return proxy.VisitFailures(ctx, message, proxy.VisitFailuresOptions{
		Visitor: func(_ *proxy.VisitFailuresContext, f *failure.Failure) error {
			if f.GetEncodedAttributes() != nil {
				return nil
			}
			if err := converter.EncodeCommonFailureAttributes(converter.GetDefaultDataConverter(), f); err != nil {
				return fault.Wrap(fault.Internal, err, "encode a failure for Temporal")
			}
			f.Message = hidden
			return nil
		},
	})
}

// hidden is the message of a failure whose message is encrypted.
const hidden = "Encoded failure"

// openFailures is the inverse of sealFailures.
func openFailures(ctx context.Context, message proto.Message) error {
	return proxy.VisitFailures(ctx, message, proxy.VisitFailuresOptions{
		Visitor: func(_ *proxy.VisitFailuresContext, f *failure.Failure) error {
			if p := f.GetEncodedAttributes(); p != nil && !isEncrypted(p) {
				converter.DecodeCommonFailureAttributes(converter.GetDefaultDataConverter(), f)
				f.EncodedAttributes = nil
			}
			return nil
		},
	})
}
