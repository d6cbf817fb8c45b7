package threat

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/adoption"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// answers are the results of the workflows that the command line starts.
var answers = map[string]reflect.Type{
	workflows.AdoptionName:    reflect.TypeFor[adoption.Adoption](),
	reads.AuditName:           reflect.TypeFor[[]fleet.AuditRecord](),
	workflows.RecordAuditName: reflect.TypeFor[struct{}](),
	reads.BuildLogName:        reflect.TypeFor[reads.BuildLogResult](),
	workflows.BuildName:       reflect.TypeFor[workflows.BuildResult](),
	workflows.DeployName:      reflect.TypeFor[workflows.Result](),
	reads.DoctorName:          reflect.TypeFor[reads.DoctorResult](),
	tend.DrainNodeName:        reflect.TypeFor[tend.DrainResult](),
	reads.AccessLogName:       reflect.TypeFor[reads.AccessLogResult](),
	tend.AdmitEdgeName:        reflect.TypeFor[tend.AdmitEdgeResult](),
	reads.EdgesName:           reflect.TypeFor[reads.EdgesResult](),
	workflows.MaintainName:    reflect.TypeFor[workflows.MaintainResult](),
	tend.RemoveEdgeName:       reflect.TypeFor[struct{}](),
	reads.RoutesName:          reflect.TypeFor[reads.RoutesResult](),
	reads.EventsName:          reflect.TypeFor[[]fleet.Event](),
	workflows.ExecName:        reflect.TypeFor[workflows.ExecResult](),
	reads.HistoryName:         reflect.TypeFor[reads.HistoryResult](),
	reads.JobLogsName:         reflect.TypeFor[reads.JobLogsResult](),
	reads.JobRunsName:         reflect.TypeFor[[]fleet.JobRun](),
	reads.JobsName:            reflect.TypeFor[[]fleet.JobState](),
	workflows.PauseJobName:    reflect.TypeFor[struct{}](),
	workflows.RunJobName:      reflect.TypeFor[fleet.JobRun](),
	reads.LogsName:            reflect.TypeFor[reads.LogsResult](),
	reads.NodeHistoryName:     reflect.TypeFor[fleet.NodeHistory](),
	reads.NodeStatesName:      reflect.TypeFor[[]fleet.NodeState](),
	workflows.PlanName:        reflect.TypeFor[workflows.PlanResult](),
	reads.ProcessesName:       reflect.TypeFor[reads.ProcessesResult](),
	workflows.PurgeName:       reflect.TypeFor[workflows.Result](),
	reads.PurgeableName:       reflect.TypeFor[fleet.Forgotten](),
	tend.RemoveNodeName:       reflect.TypeFor[struct{}](),
	reads.SecretsName:         reflect.TypeFor[reads.SecretsResult](),
	workflows.SetSecretName:   reflect.TypeFor[struct{}](),
	reads.EnvelopesName:       reflect.TypeFor[oncontrol.LoadEnvelopesResult](),

	workflows.RemoveSecretName: reflect.TypeFor[oncontrol.RemoveSecretResult](),

	reads.ServicesName:     reflect.TypeFor[[]fleet.ServiceRecord](),
	workflows.SnapshotName: reflect.TypeFor[fleet.Snapshot](),
	reads.StatusName:       reflect.TypeFor[reads.StatusResult](),
	workflows.SyncName:     reflect.TypeFor[workflows.SyncResult](),
}

// The manners of a control plane: how it answers.
const (
	plain    = iota // with what is there
	thorough        // with everything that may be there
	failing         // with a fault
	manners
)

// controlPlane is a Temporal whose control worker answers every workflow with hostile
// text in each string.
type controlPlane struct {
	address string
	manner  atomic.Int32
	client  client.Client
	// waits are, by service, functions that a step calls until they return true: the
	// step then fails.
	waits sync.Map
}

func newControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	binary, err := filepath.Abs("../../bin/temporal")
	require.NoError(t, err)
	server, err := parts.StartTemporal(ctx, parts.TemporalOptions{Unsafe: true, Dir: t.TempDir(), Binary: binary})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	c, err := client.Dial(client.Options{HostPort: server.Address(), Logger: sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	p := &controlPlane{address: server.Address(), client: c}
	w := worker.New(c, workflows.Queue, worker.Options{})
	w.RegisterDynamicWorkflow(p.answer, workflow.DynamicRegisterOptions{})
	w.RegisterActivityWithOptions(p.step, activity.RegisterOptions{Name: "Step"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return p
}

// answer is every workflow. Those that the command line follows have steps.
func (p *controlPlane) answer(ctx workflow.Context, _ converter.EncodedValues) (any, error) {
	var manner int32
	err := workflow.SideEffect(ctx, func(workflow.Context) any { return p.manner.Load() }).Get(&manner)
	if err != nil {
		return nil, err
	}
	name := workflow.GetInfo(ctx).WorkflowType.Name
	result := filled(answers[name], manner == thorough)
	if edges, some := result.(*reads.EdgesResult); some { // one that a command line can name
		front := edges.Edges[0]
		front.Name, front.Key = "front", frontKey
		edges.Edges = append(edges.Edges, front)
	}
	if found, some := result.(*reads.SecretsResult); some { // one that a command line can name, and a node for it
		one := found.Secrets[0]
		one.Name, one.Removed = "db", false
		found.Secrets[0].Removed = false
		found.Secrets = append(found.Secrets, one)
		rift := found.Nodes[0]
		rift.Name, rift.Key = "rift", frontKey
		found.Nodes = append(found.Nodes, rift)
	}
	if workflow.GetInfo(ctx).WorkflowExecution.ID == held {
		ctx.Done().Receive(ctx, nil)
		ctx, _ = workflow.NewDisconnectedContext(ctx)
	}
	switch name {
	case workflows.DeployName, workflows.BuildName, workflows.PurgeName:
		_ = workflow.SideEffect(ctx, func(workflow.Context) any { return filled(answers[workflows.PlanName], true) })
		step := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			Summary: "\x1b]0;evil\a\u009b2J\u202e", StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 2, InitialInterval: time.Millisecond},
		})
		_ = workflow.ExecuteActivity(step, "Step").Get(ctx, nil) // it fails
	}
	if manner != failing {
		return result, nil
	}
	f := filled(reflect.TypeFor[fault.Error](), true).(*fault.Error)
	f.Kind = fault.Conflict
	return nil, temporal.NewApplicationErrorWithOptions(f.Message, string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{*f, result},
	})
}

// frontKey is the public key of an edge.
const frontKey = "age1z6qxajqn4uc8z6hg00g5kazg92p9s5xdccd9skntnfkhnucxqe7qh8z9e8"

// held is a deploy that lasts until it is cancelled.
var held = workflows.DeployID("held")

// hold starts it.
func (p *controlPlane) hold(t *testing.T) {
	in := workflows.DeployInput{Verb: fleet.VerbDeploy, Definition: servicedef.Service{Name: "held"}}
	_, err := p.client.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{ID: held, TaskQueue: workflows.Queue}, workflows.DeployName, in)
	if err != nil {
		t.Error(err)
	}
}

// step is a step of a deploy, which heartbeats until that is shown, and fails.
func (p *controlPlane) step(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	activity.RecordHeartbeat(ctx, workflows.Progress{Phase: "beat", Detail: inJSON})
	_, service, _ := strings.Cut(activity.GetInfo(ctx).WorkflowExecution.ID, "/")
	shown, waits := p.waits.Load(service)
	for waits && activity.GetInfo(ctx).Attempt == 1 && !shown.(func() bool)() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errors.New(inJSON)
}
