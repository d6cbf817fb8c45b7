package law

import (
	"context"

	"go.temporal.io/api/operatorservice/v1"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// forwarded are the headers that reach Temporal: how a client encodes and what it can
// read. Credentials are not among them.
var forwarded = []string{"client-name", "client-version", "supported-server-versions", "supported-features"}

// outgoing is the context of a call to Temporal.
func outgoing(ctx context.Context) context.Context {
	given, _ := metadata.FromIncomingContext(ctx)
	out := metadata.MD{}
	for _, name := range forwarded {
		if values := given.Get(name); len(values) > 0 {
			out.Set(name, values[0])
		}
	}
	return metadata.NewOutgoingContext(ctx, out)
}

// operatorProxy passes on the methods of the operator service that the table has.
type operatorProxy struct {
	operatorservice.UnimplementedOperatorServiceServer
	client operatorservice.OperatorServiceClient
}

func (p operatorProxy) AddSearchAttributes(ctx context.Context, in *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	return p.client.AddSearchAttributes(ctx, in)
}

func (p operatorProxy) ListSearchAttributes(ctx context.Context, in *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	return p.client.ListSearchAttributes(ctx, in)
}

// healthProxy answers for Temporal.
type healthProxy struct {
	grpc_health_v1.UnimplementedHealthServer
	client grpc_health_v1.HealthClient
}

func (p healthProxy) Check(ctx context.Context, in *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return p.client.Check(ctx, in)
}

// setBytes sets a field of a message, by its name; an empty value clears it.
func setBytes(m proto.Message, name protoreflect.Name, value []byte) {
	reflected := m.ProtoReflect()
	field := reflected.Descriptor().Fields().ByName(name)
	if len(value) == 0 {
		reflected.Clear(field)
		return
	}
	reflected.Set(field, protoreflect.ValueOfBytes(value))
}
