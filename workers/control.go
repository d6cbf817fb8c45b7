package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/door/who"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// Control is the role that runs workflows, and the activities that access
// Postgres or an image registry. Several control workers may run at once.
type Control struct {
	// PostgresURL is the address of the registry; it contains a password.
	PostgresURL string
	// PostgresInsecure allows connections without encryption to another machine.
	PostgresInsecure bool
	Images           imageregistry.Options
	// PortRest is how long a released port stays unallocated.
	PortRest time.Duration
	// MonitorInterval is how often each node is observed.
	MonitorInterval time.Duration
	// Alerts lists the destinations of events.
	Alerts Alerts
	// Namespace is Temporal's; search attributes are registered there.
	Namespace string
	// Keys encrypt what the registry keeps of definitions; nil if nothing is encrypted.
	Keys *keyring.Keys
	// Doors are public keys by which gateways say who has asked for a workflow, besides that
	// in the registry.
	Doors []who.Key
}

func (r *Control) start(ctx context.Context, w *Workers, c client.Client) error {
	with := registry.Insecure(r.PostgresInsecure)
	if err := registry.Prepare(ctx, r.PostgresURL, with); err != nil {
		return fmt.Errorf("prepare the registry: %w", err)
	}
	store, err := registry.OpenSealed(ctx, r.PostgresURL, r.Keys, with)
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	w.closers = append(w.closers, w.doors.keep(store, w.log), store.Close)
	w.telemetry.Check("postgres", store.Ping)
	w.telemetry.Check("tables", store.CheckTables)
	if err := store.KeepKeys(ctx); err != nil {
		return err
	}
	w.telemetry.Check("encryption keys", store.KeepKeys)
	declareMetrics(w.telemetry)
	declareFleet(w.telemetry, store)
	if err := registerSearchAttributes(ctx, c, r.Namespace); err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	if err := awaitSearchAttributes(ctx, c, r.Namespace); err != nil {
		return err
	}
	schedules := r.schedules()
	for _, s := range schedules {
		if err := s.make(ctx, c); err != nil {
			return err
		}
	}
	w.checkObservations(store, r.MonitorInterval)
	control := &oncontrol.Control{
		Registry:  store,
		Images:    imageregistry.New(r.Images),
		Lock:      lock{c},
		Queues:    queues{c, r.Namespace},
		Schedules: jobSchedules{client: c, keys: r.Keys},
		Alerts:    r.Alerts.destinations(),
		Version:   w.version,
		PortRest:  r.PortRest,

		MonitorInterval: r.MonitorInterval,
	}
	w.keep(ctx, upkeep{client: c, namespace: r.Namespace, keys: r.Keys, sealed: keyID(r.Keys), schedules: schedules, jobs: control.KeepAllJobs, log: w.log})
	return w.serve(c, activities.QueueControl, worker.Options{MaxConcurrentWorkflowTaskPollers: controlPollers}, func(reg worker.Registry) {
		RegisterWorkflows(reg)
		reg.RegisterActivity(control)
	})
}

// controlPollers is how many polls wait for workflow tasks: as many as the deploys
// that one command runs at once, and one more. Temporal persists a task for which
// no poll waits.
const controlPollers = 9

// Workflows are all workflows by their stable names.
func Workflows() map[string]any {
	monitor := tend.Monitor{Reconcile: workflows.Reconcile}
	return map[string]any{
		workflows.DeployName:       workflows.Deploy,
		workflows.BuildName:        workflows.Build,
		workflows.MendName:         workflows.Mend,
		workflows.PlanName:         workflows.Plan,
		reads.StatusName:           reads.Status,
		reads.ProcessesName:        reads.Processes,
		reads.HistoryName:          reads.History,
		workflows.SnapshotName:     workflows.Snapshot,
		tend.RegisterNodeName:      tend.RegisterNode,
		tend.ReviveNodeName:        tend.ReviveNode,
		tend.MonitorName:           monitor.Fleet,
		tend.MonitorNodeName:       monitor.Node,
		reads.ServicesName:         reads.Services,
		reads.NodeStatesName:       reads.NodeStates,
		reads.EventsName:           reads.Events,
		reads.NodeHistoryName:      reads.NodeHistory,
		reads.NodePolicyName:       reads.NodePolicy,
		tend.RetentionName:         tend.Retention,
		tend.ClaimNodeName:         tend.ClaimNode,
		tend.DrainNodeName:         tend.DrainNode,
		tend.RemoveNodeName:        tend.RemoveNode,
		tend.AlertName:             tend.Alert,
		workflows.AdoptionName:     workflows.Adoption,
		workflows.SyncName:         workflows.Sync,
		workflows.PurgeName:        workflows.Purge,
		reads.PurgeableName:        reads.Purgeable,
		reads.LogsName:             reads.Logs,
		reads.DoctorName:           reads.Doctor,
		workflows.ExecName:         workflows.Exec,
		tend.AnnounceEdgeName:      tend.AnnounceEdge,
		tend.AdmitEdgeName:         tend.AdmitEdge,
		tend.RemoveEdgeName:        tend.RemoveEdge,
		reads.EdgesName:            reads.Edges,
		reads.RoutesName:           reads.Routes,
		workflows.MaintainName:     workflows.Maintain,
		reads.AccessLogName:        reads.AccessLog,
		reads.BuildLogName:         reads.BuildLog,
		workflows.RunJobName:       workflows.RunJob,
		reads.JobsName:             reads.Jobs,
		reads.JobRunsName:          reads.JobRuns,
		reads.JobLogsName:          reads.JobLogs,
		workflows.PauseJobName:     workflows.PauseJob,
		workflows.RemoveTaskName:   workflows.RemoveTask,
		tend.EdgeStorageName:       tend.EdgeStorage,
		reads.AuditName:            reads.Audit,
		workflows.RecordAuditName:  workflows.RecordAudit,
		reads.SecretsName:          reads.Secrets,
		workflows.SetSecretName:    workflows.SetSecret,
		workflows.RemoveSecretName: workflows.RemoveSecret,
		reads.EnvelopesName:        reads.Envelopes,
		workflows.RotateSecretName: workflows.RotateSecret,
	}
}

// RegisterWorkflows registers every workflow.
func RegisterWorkflows(reg worker.WorkflowRegistry) {
	for name, run := range Workflows() {
		reg.RegisterWorkflowWithOptions(run, workflow.RegisterOptions{Name: name})
	}
}

// NewReplayer returns a replayer of every workflow, as control workers run them.
func NewReplayer() (worker.WorkflowReplayer, error) {
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		Interceptors: []interceptor.WorkerInterceptor{workflows.NewAuditor(nil)},
	})
	if err == nil {
		RegisterWorkflows(replayer)
	}
	return replayer, err
}

// registerSearchAttributes registers mcp's search attributes with Temporal, except
// those that exist. Temporal Cloud refuses this call: there they are created once
// by hand.
func registerSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	types := map[string]enums.IndexedValueType{}
	for _, key := range workflows.SearchAttributes() {
		types[key.GetName()] = key.GetValueType()
	}
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		SearchAttributes: types,
		Namespace:        namespace,
	})
	var exists *serviceerror.AlreadyExists
	var denied *serviceerror.PermissionDenied
	if err != nil && !errors.As(err, &exists) && !errors.As(err, &denied) {
		return err
	}
	return nil
}

// attributesTimeout bounds how long Temporal's servers may take to load new search
// attributes: they reload namespaces every two seconds.
const attributesTimeout = 10 * time.Second

// awaitSearchAttributes returns when Temporal accepts mcp's search attributes, so
// that a worker does not report ready before. If Temporal never accepts them, each
// command reports the reason.
func awaitSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	wait, cancel := context.WithTimeout(ctx, attributesTimeout)
	defer cancel()
	for {
		_, err := c.CountWorkflow(wait, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: workflows.SearchAttributes()[0].GetName() + " = ''",
		})
		if !errors.As(err, new(*serviceerror.InvalidArgument)) {
			return ctx.Err()
		}
		select {
		case <-wait.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
