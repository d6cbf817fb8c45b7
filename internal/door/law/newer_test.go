package law

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/workflows"
)

// A gateway passes on nothing that it does not know, and says what that is, and that it is
// upgraded before its clients.
func TestWhatANewerClientAddsIsRefusedByName(t *testing.T) {
	up := &storing{}
	caller := identity.Identity{Role: identity.Operator, Name: "anna"}
	client := workflowservice.NewWorkflowServiceClient(serve(t, newLaw(t, up, func(o *Options) { o.Version = "1.2.3" }), &caller))
	with := func(change func(*workflowservice.StartWorkflowExecutionRequest)) error {
		in := deployOf(t, "shop")
		change(in)
		_, err := client.StartWorkflowExecution(t.Context(), in)
		return err
	}
	input := func(text string) func(*workflowservice.StartWorkflowExecutionRequest) {
		return func(in *workflowservice.StartWorkflowExecutionRequest) { in.Input.Payloads[0].Data = []byte(text) }
	}
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 1)
	for name, refused := range map[string]struct {
		err  error
		want string
	}{
		"a key of an input": {
			with(input(`{"definition":{"name":"shop","components":[{"name":"api","colour":"red"}]}}`)),
			`the gateway refuses StartWorkflowExecution to operator/anna: its input has the field "definition.components[0].colour", which this gateway does not know; ` +
				`if a newer mcp sends it, upgrade the gateways first: this one has version 1.2.3`,
		},
		"a key of what decodes itself": {
			with(input(`{"definition":{"name":"shop","components":[{"name":"api","secrets":[{"source":"db","colour":"red"}]}]}}`)),
			`its input has the field "definition.components[0].secrets[0].colour", which`,
		},
		"a key of the input itself": {with(input(`{"Definition":{"name":"shop"},"colour":"red"}`)), `its input has the field "colour", which`},
		"a field of a request": {
			with(func(in *workflowservice.StartWorkflowExecutionRequest) { in.ProtoReflect().SetUnknown(unknown) }),
			"StartWorkflowExecutionRequest has field 900, which this gateway does not know; if a newer mcp sends it, upgrade the gateways first: this one has version 1.2.3",
		},
		"a field of a part": {
			with(func(in *workflowservice.StartWorkflowExecutionRequest) {
				in.TaskQueue.ProtoReflect().SetUnknown(unknown)
			}),
			"TaskQueue has field 900, which",
		},
		"a type of workflow": {
			with(func(in *workflowservice.StartWorkflowExecutionRequest) {
				in.WorkflowType = &common.WorkflowType{Name: "Teleport"}
			}),
			`does not know workflow type "Teleport" as one that is started here; if a newer mcp starts it, upgrade`,
		},
		"a method": {
			func() error {
				_, err := client.PauseActivity(t.Context(), &workflowservice.PauseActivityRequest{Namespace: "default"})
				return err
			}(),
			"no role may call PauseActivity; if a newer mcp calls it, upgrade the gateways first",
		},
	} {
		require.Equal(t, codes.PermissionDenied, status.Code(refused.err), name)
		require.ErrorContains(t, refused.err, refused.want, name)
	}
	require.Nil(t, up.got, "nothing has reached Temporal")
	require.ErrorContains(t, with(input(`{"definition":`)), "its input is not understood")

	// What is known, and not this role's, is no matter of versions.
	caller = identity.Identity{Role: identity.Reader, Name: "ben", Services: []string{"shop"}}
	err := with(func(in *workflowservice.StartWorkflowExecutionRequest) { in.WorkflowType.Name = workflows.DeployName })
	require.ErrorContains(t, err, "is not started by the role reader; use an identity of a role that may")
}
