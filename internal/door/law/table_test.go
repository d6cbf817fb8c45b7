package law

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/metacircular/mcp/internal/identity"
)

// methods are all of Temporal's API, in full, with their descriptors.
func methods(t *testing.T) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	all := map[string]protoreflect.MethodDescriptor{}
	for _, service := range []grpc.ServiceDesc{workflowservice.WorkflowService_ServiceDesc, operatorservice.OperatorService_ServiceDesc, grpc_health_v1.Health_ServiceDesc} {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.ServiceName))
		require.NoError(t, err)
		described := found.(protoreflect.ServiceDescriptor).Methods()
		require.Equal(t, described.Len(), len(service.Methods)+len(service.Streams), service.ServiceName)
		for i := range described.Len() {
			all["/"+service.ServiceName+"/"+string(described.Get(i).Name())] = described.Get(i)
		}
	}
	require.Greater(t, len(all), 120)
	return all
}

// upstream is a Temporal that counts the calls that reach it.
type upstream struct{ calls atomic.Int64 }

func (u *upstream) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	u.calls.Add(1)
	return status.Error(codes.Unimplemented, "reached")
}

func (u *upstream) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	u.calls.Add(1)
	return nil, status.Error(codes.Unimplemented, "reached")
}

// serve returns a connection to the law by which the caller is the identity that who holds.
func serve(t *testing.T, l *Law, who *identity.Identity) *grpc.ClientConn {
	t.Helper()
	inject := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(identity.NewContext(ctx, *who), req)
	}
	server := grpc.NewServer(append([]grpc.ServerOption{grpc.ChainUnaryInterceptor(inject)}, l.ServerOptions()...)...)
	l.Register(server)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///door", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newLaw(t *testing.T, up grpc.ClientConnInterface, change ...func(*Options)) *Law {
	t.Helper()
	o := Options{Upstream: up, Namespace: "default", Key: []byte(strings.Repeat("k", MinKey))}
	for _, c := range change {
		c(&o)
	}
	l, err := New(o)
	require.NoError(t, err)
	return l
}

func TestEveryMethodThatTheTableLacksIsRefusedToEveryRole(t *testing.T) {
	var up upstream
	var caller identity.Identity
	conn := serve(t, newLaw(t, &up), &caller)
	refused := 0
	for full, method := range methods(t) {
		for _, role := range append(identity.Roles(), "", "root") {
			if _, permitted := ruleOf(full, role); permitted {
				continue
			}
			caller = identity.Identity{Role: role, Name: "x", Services: []string{identity.AllServices}}
			err := call0(t, conn, full, method)
			require.Error(t, err, "%s as %q", full, role)
			if !method.IsStreamingServer() {
				require.Equal(t, codes.PermissionDenied, status.Code(err), "%s as %q: %v", full, role, err)
			}
			refused++
		}
	}
	require.Zero(t, up.calls.Load(), "calls that reached Temporal")
	t.Logf("%d pairs of method and role are refused, of %d methods", refused, len(methods(t)))
}

// call0 calls a method with a request that has every field of the first level, as far as
// they are simple.
func call0(t *testing.T, conn *grpc.ClientConn, full string, method protoreflect.MethodDescriptor) error {
	t.Helper()
	in := dynamicpb.NewMessage(method.Input())
	if field := method.Input().Fields().ByName("namespace"); field != nil {
		in.Set(field, protoreflect.ValueOfString("default"))
	}
	if method.IsStreamingServer() {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, full)
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(in))
		require.NoError(t, stream.CloseSend())
		return stream.RecvMsg(dynamicpb.NewMessage(method.Output()))
	}
	return conn.Invoke(t.Context(), full, in, dynamicpb.NewMessage(method.Output()))
}

func TestTheTableNamesMethodsAndFieldsThatExist(t *testing.T) {
	all := methods(t)
	for full, row := range table {
		method := all[full]
		require.NotNil(t, method, "%s is no method", full)
		for role, r := range row {
			require.True(t, role.Exists(), "%s: %s", full, role)
			require.NotNil(t, r.fields, "%s as %s", full, role)
			checkFields(t, full, method.Input(), r.fields)
		}
	}
}

func checkFields(t *testing.T, path string, in protoreflect.MessageDescriptor, f *fields) {
	t.Helper()
	for name, next := range f.next {
		field := in.Fields().ByName(protoreflect.Name(name))
		require.NotNil(t, field, "%s.%s does not exist", path, name)
		switch {
		case field.Message() == nil || next.drop:
		case field.IsMap() && len(next.next) == 0:
		default:
			require.True(t, next.all || len(next.next) > 0, "%s.%s allows nothing below", path, name)
			checkFields(t, path+"."+name, field.Message(), next)
		}
	}
}

// What each field would do is not asked: a request with one that the table lacks is
// refused, in any place of the message.
func TestEveryFieldThatARuleLacksIsRefused(t *testing.T) {
	refused := 0
	for full, method := range methods(t) {
		for role := range table[full] {
			r := table[full][role]
			for _, path := range paths(method.Input(), 3) {
				if r.fields.allows(path) {
					continue
				}
				in := dynamicpb.NewMessage(method.Input())
				fill(in, path)
				require.Error(t, r.fields.keep(in), "%s as %s: %s", full, role, strings.Join(path, "."))
				refused++
			}
		}
	}
	require.Greater(t, refused, 500)
	t.Logf("%d fields are refused", refused)
}

// allows reports whether a path is allowed, or removed.
func (f *fields) allows(path []string) bool {
	for _, name := range path {
		if f.all || f.drop {
			return true
		}
		if f = f.next[name]; f == nil {
			return false
		}
	}
	return true
}

// paths are those of the fields of a message, to a depth.
func paths(in protoreflect.MessageDescriptor, depth int) (all [][]string) {
	for i := range in.Fields().Len() {
		field := in.Fields().Get(i)
		name := string(field.Name())
		if field.Message() == nil || field.IsMap() {
			all = append(all, []string{name})
			continue
		}
		if depth > 1 {
			for _, below := range paths(field.Message(), depth-1) {
				all = append(all, slices.Insert(below, 0, name))
			}
		}
	}
	return all
}

// fill sets one field of a message.
func fill(m protoreflect.Message, path []string) {
	field := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) > 1 && field.IsList():
		fill(m.Mutable(field).List().AppendMutable().Message(), path[1:])
	case len(path) > 1:
		fill(m.Mutable(field).Message(), path[1:])
	case field.IsMap():
		key := protoreflect.ValueOfString("x").MapKey()
		if field.MapKey().Kind() != protoreflect.StringKind {
			key = protoreflect.ValueOfInt32(1).MapKey()
		}
		if field.MapValue().Message() != nil {
			m.Mutable(field).Map().Mutable(key)
		} else {
			m.Mutable(field).Map().Set(key, scalar(field.MapValue()))
		}
	case field.IsList():
		m.Mutable(field).List().Append(scalar(field))
	default:
		m.Set(field, scalar(field))
	}
}

// scalar is a value of a field that is not its default.
func scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("x"))
	}
	return protoreflect.ValueOfString("x")
}

func TestAFieldOfALaterVersionIsRefused(t *testing.T) {
	in := &workflowservice.StartWorkflowExecutionRequest{WorkflowId: "deploy/shop"}
	in.ProtoReflect().SetUnknown(protoreflect.RawFields{0xc2, 0x3e, 0x01, 'x'}) // field 1000
	require.ErrorContains(t, start.keep(in.ProtoReflect()), "does not know")
}

func TestATokenIsGoodForOneIdentityAndUse(t *testing.T) {
	keys, err := newTokens([]byte(strings.Repeat("k", MinKey)))
	require.NoError(t, err)
	others, err := newTokens([]byte(strings.Repeat("o", MinKey)))
	require.NoError(t, err)
	rift, orion := identity.Identity{Role: identity.Node, Name: "rift"}, identity.Identity{Role: identity.Node, Name: "orion"}
	edge := identity.Identity{Role: identity.Edge, Name: "rift"}
	wrapped := keys.wrap(rift, forActivity, []byte("task"))
	token, ok := keys.unwrap(rift, forActivity, wrapped)
	require.True(t, ok)
	require.Equal(t, "task", string(token))
	refused := map[string]bool{}
	refuse := func(what string, tokens tokens, of identity.Identity, for_ use, wrapped []byte) {
		_, ok := tokens.unwrap(of, for_, wrapped)
		require.False(t, ok, what)
		refused[what] = true
	}
	refuse("another node", keys, orion, forActivity, wrapped)
	refuse("another role", keys, edge, forActivity, wrapped)
	refuse("another use", keys, rift, forPage, wrapped)
	refuse("another key", others, rift, forActivity, wrapped)
	refuse("Temporal's own token", keys, rift, forActivity, []byte("task"))
	refuse("a short token", keys, rift, forActivity, []byte{tokenVersion})
	for i := range wrapped {
		changed := slices.Clone(wrapped)
		changed[i] ^= 1
		refuse("a changed byte", keys, rift, forActivity, changed)
	}
	empty, ok := keys.unwrap(rift, forPage, nil)
	require.True(t, ok)
	require.Empty(t, empty)
	require.Empty(t, keys.wrap(rift, forPage, nil))
	require.NotEmpty(t, refused)
}
