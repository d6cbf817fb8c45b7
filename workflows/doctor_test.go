package workflows_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

func TestADoctorReportsWhichWorkersDoNotAnswer(t *testing.T) {
	s := newHarness(t)
	s.nodes["orion"], s.nodes["lyra"] = nil, nil
	known := oncontrol.ControlDiagnosis{MCP: "1", Nodes: []fleet.NodeState{{NodeRecord: fleet.NodeRecord{Name: "rift"}}, {NodeRecord: fleet.NodeRecord{Name: "lyra"}}}}
	s.env.RegisterActivityWithOptions(func(ctx context.Context) (oncontrol.ControlDiagnosis, error) {
		return known, s.call(ctx, "")
	}, activity.RegisterOptions{Name: "DiagnoseControl"})
	s.env.RegisterActivityWithOptions(func(ctx context.Context) (onnode.NodeDiagnosis, error) {
		name := strings.TrimPrefix(activity.GetInfo(ctx).TaskQueue, "node-")
		return onnode.NodeDiagnosis{MCP: "1", Runtime: "podman"}, s.call(ctx, name)
	}, activity.RegisterOptions{Name: "DiagnoseNode"})
	s.fail = func(call string, _ int32) error {
		switch call {
		case "DiagnoseNode orion":
			return fault.New(fault.Internal, "it is ill")
		case "ImageExists r.example/web:v1":
			return fault.New(fault.Unauthorized, "log in first")
		}
		return nil
	}
	s.env.ExecuteWorkflow(reads.DoctorName, reads.DoctorInput{
		Nodes: []string{"rift", "orion"}, Images: []string{"r.example/api:v1", "r.example/web:v1", "r.example/none:v1"},
	})
	require.NoError(t, s.env.GetWorkflowError())
	var r reads.DoctorResult
	require.NoError(t, s.env.GetWorkflowResult(&r))
	require.Len(t, r.Nodes, 3, "each once, whoever names it")
	require.Equal(t, "podman", r.Nodes["lyra"].Runtime)
	require.Equal(t, "it is ill", r.Nodes["orion"].Error.Message)
	require.Nil(t, r.Nodes["rift"].Error)
	require.Equal(t, reads.DiagnosedImage{Exists: true}, r.Images["r.example/api:v1"])
	require.Equal(t, fault.Unauthorized, r.Images["r.example/web:v1"].Error.Kind)
	require.Equal(t, reads.DiagnosedImage{}, r.Images["r.example/none:v1"], "it answers, and has it not")
	require.False(t, r.At.IsZero())
}
