package temporalserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// Load is the monitor's load for a fleet. A short interval stands for many nodes.
type Load struct {
	// Nodes are observed once in each Interval, by one run, as the monitor does;
	// each observation has this number of Containers.
	Nodes, Containers int
	Interval          time.Duration
	// For is how long the load is measured. Before that it runs as long to fill
	// the databases, and then the server idles as long.
	For time.Duration
}

// Figures holds the costs of a Load.
type Figures struct {
	Observations int
	// Server and Postgres are the processor time of an observation. IdleServer
	// and IdlePostgres are the cores that are busy without any; the processor
	// times exclude them.
	Server, Postgres         time.Duration
	IdleServer, IdlePostgres float64
	// Disk is how many bytes an observation adds to the databases, WAL how many
	// bytes it adds to Postgres's log, Rows how many rows it adds.
	Disk, WAL, Rows float64
	// Events and HistoryBytes are the length of an observation's history.
	Events, HistoryBytes int64
	// ServerMemory and PostgresMemory are resident, in bytes; shared pages of
	// Postgres count once.
	ServerMemory, PostgresMemory int64
}

// rig is a server with workers for the monitor's activities, without podman and
// the registry.
type rig struct {
	client   client.Client
	recorded atomic.Int64
	found    onnode.ObserveNodeResult
	workers  []worker.Worker
}

func newRig(ctx context.Context, s *Server, nodes, containers int) (*rig, error) {
	c, err := s.Dial(ctx)
	if err != nil {
		return nil, err
	}
	r := &rig{client: c, found: observation(containers)}
	if err := r.start(ctx, nodes); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) start(ctx context.Context, nodes int) error {
	types := map[string]enums.IndexedValueType{}
	for _, key := range workflows.SearchAttributes() {
		types[key.GetName()] = key.GetValueType()
	}
	_, err := r.client.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		SearchAttributes: types, Namespace: client.DefaultNamespace,
	})
	if err != nil && !errors.As(err, new(*serviceerror.AlreadyExists)) {
		return fmt.Errorf("add search attributes: %w", err)
	}
	if err := r.awaitAttributes(ctx); err != nil {
		return err
	}
	control := worker.New(r.client, activities.QueueControl, worker.Options{})
	monitor := tend.Monitor{Reconcile: workflows.Reconcile}
	control.RegisterWorkflowWithOptions(monitor.Fleet, workflow.RegisterOptions{Name: tend.MonitorName})
	control.RegisterWorkflowWithOptions(monitor.Node, workflow.RegisterOptions{Name: tend.MonitorNodeName})
	control.RegisterActivityWithOptions(r.record, activity.RegisterOptions{Name: "RecordObservation"})
	r.workers = append(r.workers, control)
	for i := range nodes {
		node := worker.New(r.client, activities.QueueNode(nodeName(i)), worker.Options{DisableWorkflowWorker: true})
		node.RegisterActivityWithOptions(r.observe, activity.RegisterOptions{Name: "ObserveNode"})
		r.workers = append(r.workers, node)
	}
	for _, w := range r.workers {
		if err := w.Start(); err != nil {
			return fmt.Errorf("start a worker: %w", err)
		}
	}
	return nil
}

// awaitAttributes waits until the frontend's copy of the namespace has the search
// attributes, which may take ten seconds.
func (r *rig) awaitAttributes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	query := &workflowservice.CountWorkflowExecutionsRequest{Query: workflows.SearchNode.GetName() + ` = "node-0"`}
	for {
		_, err := r.client.CountWorkflow(ctx, query)
		if err == nil {
			return nil
		}
		if late := pause(ctx, 200*time.Millisecond); late != nil {
			return fmt.Errorf("wait for search attributes: %w", err)
		}
	}
}

func (r *rig) close() {
	for _, w := range r.workers {
		w.Stop()
	}
	r.client.Close()
}

func (r *rig) observe(context.Context) (onnode.ObserveNodeResult, error) { return r.found, nil }

func (r *rig) record(context.Context, fleet.Observation) (oncontrol.RecordObservationResult, error) {
	r.recorded.Add(1)
	return oncontrol.RecordObservationResult{}, nil
}

// hash returns a hexadecimal string, like a digest or an id.
func hash(i int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return hex.EncodeToString(sum[:])
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// observation returns the observation of a node with n containers. No two share an
// id or an image, and neither compresses well.
func observation(n int) onnode.ObserveNodeResult {
	result := onnode.ObserveNodeResult{Status: fleet.NodeStatus{
		Hostname: "rift.example", Kernel: "6.1.0-32-amd64", Arch: "amd64", Storage: "/var/lib/containers/storage",
		Network: "netavark", Cgroups: "v2", EphemeralLow: 32768, EphemeralHigh: 60999,
		NodeFigures: fleet.NodeFigures{
			UptimeSeconds: 1e6, CPUPercent: 3.5, Load: []float64{0.5, 0.4, 0.3},
			Memory: fleet.Usage{Total: 8 << 30, Used: 3 << 30}, Disk: fleet.Usage{Total: 1 << 40, Used: 1 << 39},
			Runtime: "podman 4.3.1", MCP: "v1.0.0", Containers: n, Running: n,
		},
	}}
	for i := range n {
		name, id := fmt.Sprintf("shop-part-%d", i), hash(i)
		result.Containers = append(result.Containers, fleet.Container{
			Name: name, Service: "shop", Component: name, Deployment: 7, Spec: id[:16], Running: true,
			ID: id, Image: "registry.example:5000/" + name + "@sha256:" + hash(-i), Digest: "sha256:" + hash(-i),
			State: "running", Started: time.Now(),
		})
	}
	return result
}

// Measure runs a load on the server, and returns its costs. Nothing else may use
// the server and its Postgres.
func Measure(ctx context.Context, s *Server, p *parts.Postgres, load Load) (Figures, error) {
	r, err := newRig(ctx, s, load.Nodes, load.Containers)
	if err != nil {
		return Figures{}, err
	}
	defer r.close()
	// The first rows of a table and its many indexes take far more space than
	// later ones: create them before the measurement.
	if err := r.run(ctx, load); err != nil {
		return Figures{}, err
	}
	w := watched{server: s, postgres: p}
	idle, err := w.while(ctx, func() error { return pause(ctx, load.For) })
	if err != nil {
		return Figures{}, err
	}
	earlier := r.recorded.Load()
	busy, err := w.while(ctx, func() error { return r.run(ctx, load) })
	if err != nil {
		return Figures{}, err
	}
	f, err := figures(int(r.recorded.Load()-earlier), idle, busy)
	if err != nil {
		return f, err
	}
	if f.ServerMemory, f.PostgresMemory, err = w.memory(); err != nil {
		return f, err
	}
	f.Events, f.HistoryBytes, err = r.history(ctx)
	return f, err
}

// figures returns the costs of one observation.
func figures(observations int, idle, busy usage) (Figures, error) {
	if observations == 0 {
		return Figures{}, errors.New("measure observations: none has ended")
	}
	n, idleServer, idlePostgres := float64(observations), cores(idle.server, idle.took), cores(idle.postgres, idle.took)
	each := func(used time.Duration, idleCores float64) time.Duration {
		return time.Duration((float64(used) - idleCores*float64(busy.took)) / n)
	}
	return Figures{
		Observations: observations, IdleServer: idleServer, IdlePostgres: idlePostgres,
		Server: each(busy.server, idleServer), Postgres: each(busy.postgres, idlePostgres),
		Disk: busy.disk / n, WAL: busy.wal / n, Rows: busy.rows / n,
	}, nil
}

func cores(used, took time.Duration) float64 { return float64(used) / float64(took) }

// run observes every node in each interval, for the time of the load.
func (r *rig) run(ctx context.Context, load Load) error {
	var in tend.MonitorInput
	for i := range load.Nodes {
		in.Nodes = append(in.Nodes, nodeName(i))
	}
	handle, err := r.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:   tend.MonitorID,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: load.Interval}}},
		Action: &client.ScheduleWorkflowAction{
			ID: tend.MonitorID, Workflow: tend.MonitorName, Args: []any{in}, TaskQueue: activities.QueueControl,
			StaticSummary: "observe the nodes",
		},
	})
	if err != nil {
		return fmt.Errorf("schedule the observation of nodes: %w", err)
	}
	err = pause(ctx, load.For)
	return errors.Join(err, handle.Delete(ctx))
}

// history observes a node and returns the length of the observation's history.
func (r *rig) history(ctx context.Context) (events, bytes int64, err error) {
	run, err := r.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "observe", TaskQueue: activities.QueueControl},
		tend.MonitorNodeName, nodeName(0))
	if err != nil {
		return 0, 0, fmt.Errorf("observe a node: %w", err)
	}
	if err := run.Get(ctx, nil); err != nil {
		return 0, 0, fmt.Errorf("observe a node: %w", err)
	}
	described, err := r.client.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	if err != nil {
		return 0, 0, fmt.Errorf("describe an observation: %w", err)
	}
	return described.GetWorkflowExecutionInfo().GetHistoryLength(), described.GetWorkflowExecutionInfo().GetHistorySizeBytes(), nil
}

// Latency returns the duration of n sequential observations: the median and the
// 95th percentile.
func Latency(ctx context.Context, s *Server, n int) (median, p95 time.Duration, err error) {
	r, err := newRig(ctx, s, 1, 20)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	var took []time.Duration
	for range n {
		began := time.Now()
		if _, _, err := r.history(ctx); err != nil {
			return 0, 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[n/2], took[n*95/100], nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
