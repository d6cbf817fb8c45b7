package config

import (
	"context"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// missHeartbeats is a grpc.UnaryClientInterceptor for heartbeats that Temporal does
// not take, because it restarts or is overloaded. The SDK would end the activity's
// context, and lose minutes of a build. An activity sends the next heartbeat within
// seconds, and Temporal decides, by the heartbeat timeout, when one is lost.
func missHeartbeats(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	err := invoke(ctx, method, in, out, cc, o...)
	if _, ok := in.(*workflowservice.RecordActivityTaskHeartbeatRequest); !ok {
		return err
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.Internal, codes.Unknown, codes.DataLoss:
		return nil
	}
	return err
}
