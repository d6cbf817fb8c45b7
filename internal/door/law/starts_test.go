package law

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// notStarted are the types of workflow that clients do not start, and who does.
var notStarted = map[string]string{
	workflows.MendName:       "a deploy, the watch",
	tend.ReviveNodeName:      "RegisterNode",
	tend.MonitorName:         "a schedule",
	tend.MonitorNodeName:     "Monitor",
	tend.RetentionName:       "a schedule",
	tend.AlertName:           "the watch",
	workflows.RemoveTaskName: "a deploy",
}

// A type of workflow that neither table has is refused to everyone: this test has whoever
// adds it decide who starts it.
func TestEveryTypeOfWorkflowIsStartedByClientsOrIsNot(t *testing.T) {
	for name, run := range workers.Workflows() {
		kind, started := startable[name]
		_, not := notStarted[name]
		require.NotEqual(t, started, not, name)
		if !started {
			continue
		}
		require.NotEmpty(t, kind.roles, name)
		takes := reflect.TypeOf(run).NumIn() - 1
		_, payloads, err := kind.read(&call{law: newLaw(t, answering{}), caller: rift}, input(t, reflect.TypeOf(run)))
		require.NoError(t, err, name)
		require.Len(t, payloads.GetPayloads(), takes, name)
	}
	for name := range startable {
		require.Contains(t, workers.Workflows(), name)
	}
}

// input is the input of a workflow, as its function takes it, with nothing in it.
func input(t *testing.T, run reflect.Type) *common.Payloads {
	t.Helper()
	require.Equal(t, reflect.TypeFor[workflow.Context](), run.In(0))
	var args []any
	for i := 1; i < run.NumIn(); i++ {
		args = append(args, reflect.New(run.In(i)).Elem().Interface())
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(args...)
	require.NoError(t, err)
	return payloads
}

// What is passed on is what was given, for a definition that uses every kind of key.
func TestAnInputIsPassedOnAsItIs(t *testing.T) {
	definition, err := servicedef.Load("../../../docs/service.example.toml")
	require.NoError(t, err)
	in := workflows.DeployInput{
		Verb: fleet.VerbDeploy, Definition: *definition, Only: []string{"a"}, Force: true, Deadline: 5, Builder: "b", Release: 3,
		Digests: map[string]string{"i": "sha256:x"}, Who: "operator/anna", From: "laptop",
	}
	given, err := converter.GetDefaultDataConverter().ToPayloads(in)
	require.NoError(t, err)
	c := &call{law: newLaw(t, answering{}), caller: identity.Identity{Role: identity.Operator, Name: "anna"}}
	_, passed, err := startable[workflows.DeployName].read(c, given)
	require.NoError(t, err)
	require.JSONEq(t, string(given.GetPayloads()[0].GetData()), string(passed.GetPayloads()[0].GetData()))
}

// keeping is a Temporal that keeps the last request.
type keeping struct {
	answering
	last proto.Message
}

func (k *keeping) Invoke(_ context.Context, _ string, in, _ any, _ ...grpc.CallOption) error {
	k.last = in.(proto.Message)
	return nil
}

func TestTheDoorSaysWhoAsks(t *testing.T) {
	up := &keeping{}
	l := newLaw(t, up)
	anna := identity.Identity{Role: identity.Deployer, Name: "anna", Services: []string{"shop"}}
	conn := serve(t, l, &anna)
	claimed, err := converter.GetDefaultDataConverter().ToPayload(fleet.Actor{Who: "operator/root", From: "laptop"})
	require.NoError(t, err)
	in := workflows.DeployInput{Verb: fleet.VerbDeploy, Definition: servicedef.Service{Name: "shop"}, Who: "root"}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(in)
	require.NoError(t, err)
	_, err = workflowservice.NewWorkflowServiceClient(conn).StartWorkflowExecution(t.Context(), &workflowservice.StartWorkflowExecutionRequest{
		Namespace: "default", WorkflowId: "deploy/shop", WorkflowType: &common.WorkflowType{Name: workflows.DeployName}, Identity: "me",
		TaskQueue: &taskqueue.TaskQueue{Name: workflows.Queue}, Input: payloads, RequestEagerExecution: true,
		Header:           &common.Header{Fields: map[string]*common.Payload{workflows.HeaderActor: claimed}},
		Memo:             &common.Memo{Fields: map[string]*common.Payload{memoCaller: claimed, "phase": claimed}},
		SearchAttributes: &common.SearchAttributes{IndexedFields: map[string]*common.Payload{"McpService": claimed}},
	})
	require.NoError(t, err)
	got := up.last.(*workflowservice.StartWorkflowExecutionRequest)
	require.Equal(t, "deployer/anna me", got.GetIdentity())
	require.False(t, got.GetRequestEagerExecution())
	var passed workflows.DeployInput
	require.NoError(t, json.Unmarshal(got.GetInput().GetPayloads()[0].GetData(), &passed))
	require.Equal(t, "deployer/anna", passed.Who)
	fields := got.GetHeader().GetFields()
	var actor fleet.Actor
	var signature []byte
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(fields[workflows.HeaderActor], &actor))
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(fields[workflows.HeaderDoor], &signature))
	require.Equal(t, fleet.Actor{Who: "deployer/anna", From: "laptop"}, actor)
	require.True(t, l.WhoKey().Verify("deploy/shop", workflows.DeployName, fields[workflows.HeaderActor].GetData(), signature))
	require.False(t, l.WhoKey().Verify("deploy/bank", workflows.DeployName, fields[workflows.HeaderActor].GetData(), signature))
	memo := map[string]string{}
	for key, payload := range got.GetMemo().GetFields() {
		text := ""
		require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &text))
		memo[key] = text
	}
	require.Equal(t, "deployer/anna", memo[memoCaller])
	require.NotContains(t, memo, workflows.MemoPhase)
	require.Equal(t, `"shop"`, string(got.GetSearchAttributes().GetIndexedFields()["McpService"].GetData()))
}
