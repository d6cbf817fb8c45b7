package law

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/door/who"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

// Options configure a Law.
type Options struct {
	// Upstream is the connection to Temporal, on which payloads are in the clear. Its
	// credentials are the door's own: those of callers do not reach Temporal.
	Upstream grpc.ClientConnInterface
	// Namespace is the only one that callers may use.
	Namespace string
	// Key is the secret that all doors of a fleet share, of at least 32 bytes: the tokens
	// that one door gives out are valid at another.
	Key []byte
	// Open decrypts, in place, what a caller has encrypted itself in a request, before the
	// request is judged; an error refuses it. Nil decrypts nothing.
	Open func(context.Context, proto.Message) error
	// Limits bound the calls of each identity; the zero value means DefaultLimits.
	Limits map[identity.Role]Limits
	// Version is that of this mcp, for refusals of what another version has added.
	Version string
	// Refused is called for every refusal; nil for nothing to do.
	Refused func(Refusal)
	// Log receives refusals; slog's default if nil.
	Log *slog.Logger
}

// MinKey is the length of the shortest Key, in bytes.
const MinKey = 32

// Law passes on to Temporal what callers may ask of it. The context of a call has its caller;
// see identity.NewContext.
type Law struct {
	namespace string
	workflows workflowservice.WorkflowServiceClient
	operator  operatorservice.OperatorServiceClient
	health    grpc_health_v1.HealthClient
	proxy     workflowservice.WorkflowServiceServer
	tokens    tokens
	signer    who.Signer
	open      func(context.Context, proto.Message) error
	version   string
	limits    *limiters
	owners    *owners
	refusals  refusals
	log       *slog.Logger
}

// New returns the law in front of a Temporal.
func New(o Options) (*Law, error) {
	if len(o.Key) < MinKey {
		return nil, fault.New(fault.Invalid, "the key of the gateway has %d bytes; it needs %d", len(o.Key), MinKey)
	}
	if o.Namespace == "" {
		return nil, fault.New(fault.Invalid, "the gateway has no namespace of Temporal")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits()
	}
	l := &Law{
		namespace: o.Namespace, open: o.Open, version: o.Version, log: o.Log,
		workflows: workflowservice.NewWorkflowServiceClient(o.Upstream),
		operator:  operatorservice.NewOperatorServiceClient(o.Upstream),
		health:    grpc_health_v1.NewHealthClient(o.Upstream),
		limits:    newLimiters(o.Limits), owners: newOwners(), refusals: refusals{each: o.Refused},
	}
	var err error
	if l.tokens, err = newTokens(o.Key); err != nil {
		return nil, err
	}
	if l.signer, err = who.NewSigner(o.Key); err != nil {
		return nil, err
	}
	l.proxy, err = proxy.NewWorkflowServiceProxyServer(proxy.WorkflowServiceProxyOptions{Client: l.workflows, DisableHeaderForwarding: true})
	if err != nil {
		return nil, fmt.Errorf("make a proxy of Temporal's service: %w", err)
	}
	return l, nil
}

// WhoKey returns the public key with which control workers verify who has asked for a
// workflow; see package who.
func (l *Law) WhoKey() who.Key { return l.signer.Key() }

// Refusals returns how many calls were refused so far.
func (l *Law) Refusals() map[Refusal]int { return l.refusals.counts() }

// ServerOptions returns the options of the gRPC server that Register is called with.
func (l *Law) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(l.intercept),
		grpc.ChainStreamInterceptor(refuseStreams),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxAnswer),
		grpc.MaxHeaderListSize(maxHeaders),
	}
}

const (
	// maxMessage bounds every request, in bytes. Temporal accepts 4 MB, and payloads of 2 MB;
	// the door compresses before it encrypts, so that a request may be larger here.
	maxMessage = 16 << 20
	// maxAnswer bounds an answer. That is more than MaxPlain, to leave room for what is not
	// payload.
	maxAnswer = MaxPlain + 32<<20
	// MaxPlain bounds the payloads in the clear of an answer, in bytes: a page of a history
	// may have as many.
	MaxPlain = 64 << 20
	// maxHeaders bounds the headers of a call, in bytes.
	maxHeaders = 16 << 10
)

// Register registers Temporal's services with a server that has the ServerOptions.
func (l *Law) Register(s grpc.ServiceRegistrar) {
	workflowservice.RegisterWorkflowServiceServer(s, l.proxy)
	operatorservice.RegisterOperatorServiceServer(s, operatorProxy{client: l.operator})
	grpc_health_v1.RegisterHealthServer(s, healthProxy{client: l.health})
}

// call is a call that is judged.
type call struct {
	law    *Law
	caller identity.Identity
	method string
	req    proto.Message
	// reply is the answer of a call that the door answers itself; nil for none.
	reply proto.Message
	// after is called when Temporal has answered; nil for nothing to do.
	after func(context.Context, error)
	// started is where a start's run is remembered; nil for other calls.
	started *startedRun
}

// intercept judges a call, makes it, and rebuilds its answer.
func (l *Law) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	c := &call{law: l, method: info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]}
	defer func() {
		if cause := recover(); cause != nil {
			l.log.Error("the judgement of a call has failed", "method", c.method, "cause", cause, "stack", string(debug.Stack()))
			answer, err = nil, status.Error(codes.Internal, "the gateway has failed to judge "+c.method)
		}
	}()
	var known, isMessage bool
	if c.caller, known = identity.FromContext(ctx); !known {
		return nil, l.refuse(c, &refusal{NoIdentity, "no certificate says who calls", "join the fleet: mcp join TOKEN"})
	}
	if c.req, isMessage = request.(proto.Message); !isMessage {
		return nil, status.Error(codes.Internal, "a request is no message")
	}
	end, err := l.limits.admit(ctx, c)
	if err != nil {
		return nil, l.refuse(c, err)
	}
	defer end()
	judged, err := l.judge(ctx, info.FullMethod, c)
	if err != nil {
		return nil, l.refuse(c, err)
	}
	if c.reply != nil {
		return c.reply, nil
	}
	answer, err = next(outgoing(ctx), c.req)
	if c.after != nil {
		c.after(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	message, isMessage := answer.(proto.Message)
	if !isMessage {
		return nil, status.Error(codes.Internal, "an answer is no message")
	}
	if c.started != nil {
		c.started.remember(c, message)
	}
	if judged.answer != nil {
		if err := judged.answer(c, message); err != nil {
			return nil, l.refuse(c, err)
		}
	}
	return message, nil
}

// judge applies the rule for the method and the caller's role.
func (l *Law) judge(ctx context.Context, full string, c *call) (rule, error) {
	judged, ok := ruleOf(full, c.caller.Role)
	if !ok {
		if _, known := table[full]; !known {
			return rule{}, c.refused(NotPermitted, "no role may call %s", c.method).hint("%s", c.upgrade("calls it"))
		}
		return rule{}, c.refused(NotPermitted, "no call of %s is for the role %s", c.method, c.caller.Role)
	}
	if named, has := c.req.(interface{ GetNamespace() string }); has && named.GetNamespace() != l.namespace && !judged.anywhere {
		return rule{}, c.refused(ForeignNamespace, "namespace %.80q is not the fleet's", named.GetNamespace()).
			hint("set [temporal] namespace = %q in mcp.toml", l.namespace)
	}
	if err := judged.fields.keep(c.req.ProtoReflect()); err != nil {
		return rule{}, c.refused(ForbiddenField, "%v", err).hint("%s", c.upgrade("sends it"))
	}
	if l.open != nil {
		if err := l.open(ctx, c.req); err != nil {
			return rule{}, c.refused(Unreadable, "%v", err).
				hint("behind a gateway no machine needs the keys: remove [temporal] encryption_key_file from its mcp.toml; or give the gateway that key")
		}
	}
	c.name()
	if judged.judge != nil {
		if err := judged.judge(ctx, c); err != nil {
			return rule{}, err
		}
	}
	return judged, nil
}

// maxIdentity bounds what a client says of itself, in bytes.
const maxIdentity = 200

// name puts the caller before what the client says of itself, where Temporal shows that.
func (c *call) name() {
	m := c.req.ProtoReflect()
	field := m.Descriptor().Fields().ByName("identity")
	if field == nil {
		return
	}
	said := strings.ToValidUTF8(m.Get(field).String(), "")
	if len(said) > maxIdentity {
		said = strings.ToValidUTF8(said[:maxIdentity], "")
	}
	m.Set(field, valueOf(strings.TrimSpace(c.caller.String()+" "+said)))
}

// refuseStreams refuses calls that stream: Temporal's service has none.
func refuseStreams(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
	return status.Error(codes.Unimplemented, "the gateway passes on no streams of gRPC")
}
