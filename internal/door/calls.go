package door

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

const (
	// refusalTime is how long a caller that is refused may take to ask why.
	refusalTime = 10 * time.Second
	// connectionAge is how long a connection is used before the client is asked to open
	// another one, with which its renewed certificate takes effect.
	connectionAge   = time.Hour
	connectionGrace = 2 * time.Minute
)

// served is a connection whose handshake is done.
type served struct {
	*tls.Conn
	caller
	known *connection
}

// handshaken are the credentials of a gRPC server whose connections are *served.
type handshaken struct{}

func (handshaken) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	s, ok := c.(*served)
	if !ok {
		return nil, nil, errors.New("the connection has made no handshake")
	}
	return s, authInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, s.caller}, nil
}

func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these are credentials of a server")
}

func (handshaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (handshaken) Clone() credentials.TransportCredentials { return handshaken{} }

func (handshaken) OverrideServerName(string) error { return nil }

// authInfo carries the caller of a connection to its calls.
type authInfo struct {
	credentials.CommonAuthInfo
	caller
}

func (authInfo) AuthType() string { return "mcp" }

// serverOptions returns the options of the API's server: the caller of each call is in
// its context, and is no longer served once it is revoked.
func (d *Door) serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(handshaken{}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: connectionGrace, Time: time.Minute, Timeout: 20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			ctx, err := d.called(ctx)
			if err != nil {
				return nil, err
			}
			return handle(ctx, in)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			ctx, err := d.called(stream.Context())
			if err != nil {
				return err
			}
			return handle(server, &inContext{stream, ctx})
		}),
	}
}

// maxCalls bounds the calls that one connection has open: a worker's polls, and what its
// activities ask.
const maxCalls = 1000

// called returns the context of a call, with its caller.
func (d *Door) called(ctx context.Context) (context.Context, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "the call has no connection")
	}
	info, ok := p.AuthInfo.(authInfo)
	if !ok || info.refused != nil || info.who.IsZero() {
		return nil, status.Error(codes.Unauthenticated, "the caller is not known")
	}
	if d.revoked.has(info.who.ID) {
		return nil, Status(revokedError(info.who))
	}
	return identity.NewContext(ctx, info.who), nil
}

// inContext is a stream with another context.
type inContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *inContext) Context() context.Context { return s.ctx }

// refusing returns a server that answers every call with the reason why its caller is
// refused.
func refusing() *grpc.Server {
	return grpc.NewServer(grpc.Creds(handshaken{}), grpc.MaxConcurrentStreams(4), grpc.MaxRecvMsgSize(1),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			if p, ok := peer.FromContext(stream.Context()); ok {
				if info, ok := p.AuthInfo.(authInfo); ok && info.refused != nil {
					return Status(info.refused)
				}
			}
			return status.Error(codes.Unauthenticated, "the caller is refused")
		}))
}

// Status returns an error as a gRPC status for the caller, with the hint.
func Status(err error) error {
	f := fault.Of(err)
	code, ok := map[fault.Kind]codes.Code{
		fault.Unauthorized: codes.Unauthenticated, fault.Forbidden: codes.PermissionDenied,
		fault.Invalid: codes.InvalidArgument, fault.Unavailable: codes.Unavailable, fault.NotFound: codes.NotFound,
	}[f.Kind]
	if !ok {
		code = codes.Internal
	}
	text := f.Message
	if f.Hint != "" {
		text += "; " + f.Hint
	}
	return status.Error(code, text)
}
