package workers

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/telemetry"
)

// The metrics of all nodes, which every control worker reads from the registry.
const (
	nodeUp         = "mcp_node_up"
	nodeCPU        = "mcp_node_cpu_ratio"
	nodeLoad       = "mcp_node_load1"
	nodeMemory     = "mcp_node_memory_bytes"
	nodeMemoryUsed = "mcp_node_memory_used_bytes"
	nodeDisk       = "mcp_node_disk_bytes"
	nodeDiskUsed   = "mcp_node_disk_used_bytes"
	nodeContainers = "mcp_node_containers"
	nodeRunning    = "mcp_node_containers_running"
	nodePorts      = "mcp_node_ports_in_use"
	nodeDrift      = "mcp_node_drift"
	lastObserved   = "mcp_monitor_last_observation_seconds"
	edgeAdmitted   = "mcp_edge_admitted"
	edgeStale      = "mcp_edge_stale_services"
	edgeSeen       = "mcp_edge_seen_seconds"
	jobSucceeded   = "mcp_job_succeeded_seconds"
	jobFailing     = "mcp_job_failing"
	jobRunning     = "mcp_job_running"
)

// driftKinds lists the kinds that are exported even if there is no such drift.
var driftKinds = []fleet.DriftKind{
	fleet.DriftMissing, fleet.DriftRenamed, fleet.DriftStopped, fleet.DriftRunning, fleet.DriftWrongImage, fleet.DriftWrongPorts, fleet.DriftReplaced,
	fleet.DriftUnnamed, fleet.DriftFlapping, fleet.DriftUnhealthy, fleet.DriftForbidden, fleet.DriftOrphan, fleet.DriftUnreachable, fleet.DriftDisk, fleet.DriftMemory,
	fleet.DriftPolicy,
}

// declareFleet declares the metrics of the fleet, which are read at each scrape.
func declareFleet(t *telemetry.Telemetry, store *registry.Store) {
	of := func(names ...string) (labels []telemetry.Label) {
		for _, name := range names {
			labels = append(labels, telemetry.Label{Name: name})
		}
		return labels
	}
	for _, m := range []telemetry.Metric{
		{Name: nodeUp, Help: "1 if the node is ready, 0 if it is unreachable.", Labels: of("node")},
		{Name: nodeCPU, Help: "The utilization of all processors together, 0 to 1.", Labels: of("node")},
		{Name: nodeLoad, Help: "The load average over one minute.", Labels: of("node")},
		{Name: nodeMemory, Help: "The memory of the node, in bytes.", Labels: of("node")},
		{Name: nodeMemoryUsed, Help: "The memory in use, in bytes.", Labels: of("node")},
		{Name: nodeDisk, Help: "The size of the file system of podman's storage or of a volume, in bytes.", Labels: of("node", "path")},
		{Name: nodeDiskUsed, Help: "The space in use on that file system, in bytes.", Labels: of("node", "path")},
		{Name: nodeContainers, Help: "The number of containers, running or not.", Labels: of("node")},
		{Name: nodeRunning, Help: "The number of running containers.", Labels: of("node")},
		{Name: nodePorts, Help: "The number of ports that components hold.", Labels: of("node")},
		{Name: nodeDrift, Help: "The number of open drifts of a kind.", Labels: of("node", "kind")},
		{Name: edgeAdmitted, Help: "1 if an operator has admitted the edge, 0 if it waits for that.", Labels: of("edge")},
		{Name: edgeStale, Help: "The number of services whose newest routes the edge has not acknowledged.", Labels: of("edge")},
		{Name: edgeSeen, Help: "How long ago the edge last announced itself or answered, in seconds.", Labels: of("edge")},
		{Name: jobSucceeded, Help: "How long ago the job's last run that has succeeded ended, in seconds.", Labels: of("service", "job")},
		{Name: jobFailing, Help: "1 if the job's last run has failed or was missed, 0 if not.", Labels: of("service", "job")},
		{Name: jobRunning, Help: "1 while a run of the job is under way, 0 if none is.", Labels: of("service", "job")},
		{Name: lastObserved, Help: "How long ago the monitor last observed the node, in seconds, whether it answered or not.", Labels: of("node")},
	} {
		t.Declare(m)
	}
	t.Read(func(ctx context.Context) ([]telemetry.Gauge, error) {
		nodes, err := store.NodeStates(ctx)
		if err != nil {
			return nil, err
		}
		ports, err := store.PortsInUse(ctx)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		var gauges []telemetry.Gauge
		for _, n := range nodes {
			gauges = append(gauges, gaugesOf(n, ports[n.Name], now)...)
		}
		edges, err := store.Edges(ctx)
		for _, e := range edges {
			gauges = append(gauges, gaugesOfEdge(e, now)...)
		}
		if err != nil {
			return nil, err
		}
		jobs, err := store.JobStates(ctx, nil)
		for _, j := range jobs {
			gauges = append(gauges, gaugesOfJob(j, now)...)
		}
		return gauges, err
	})
}

// gaugesOf returns the gauges of one node. A node that does not answer has no
// figures, because they would be outdated.
func gaugesOf(n fleet.NodeState, ports int, now time.Time) (gauges []telemetry.Gauge) {
	add := func(name string, value float64, more ...string) {
		labels := map[string]string{"node": n.Name}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		gauges = append(gauges, telemetry.Gauge{Name: name, Labels: labels, Value: value})
	}
	add(nodePorts, float64(ports))
	add(lastObserved, max(0, now.Sub(n.LastObserved()).Seconds()))
	open := map[fleet.DriftKind]int{}
	for _, d := range n.Drift {
		open[d.Kind]++
	}
	for _, kind := range driftKinds {
		add(nodeDrift, float64(open[kind]), "kind", string(kind))
	}
	if n.State != fleet.NodeReady || n.Status == nil {
		add(nodeUp, 0)
		return gauges
	}
	s := n.Status
	add(nodeUp, 1)
	add(nodeCPU, s.CPUPercent/100)
	if len(s.Load) > 0 {
		add(nodeLoad, s.Load[0])
	}
	add(nodeMemory, float64(s.Memory.Total))
	add(nodeMemoryUsed, float64(s.Memory.Used))
	for _, d := range append([]fleet.Disk{{Path: s.Storage, Usage: s.Disk}}, s.Disks...) {
		add(nodeDisk, float64(d.Total), "path", d.Path)
		add(nodeDiskUsed, float64(d.Used), "path", d.Path)
	}
	add(nodeContainers, float64(s.Containers))
	add(nodeRunning, float64(s.Running))
	return gauges
}

// gaugesOfJob returns the gauges of one job. One that has never succeeded has no time of
// success.
func gaugesOfJob(j fleet.JobState, now time.Time) []telemetry.Gauge {
	labels := map[string]string{"service": j.Service, "job": j.Job.Name}
	failing, running := 0.0, 0.0
	if j.Last != nil && j.Last.Outcome.Failed() {
		failing = 1
	}
	if j.Running != nil {
		running = 1
	}
	gauges := []telemetry.Gauge{
		{Name: jobFailing, Labels: labels, Value: failing},
		{Name: jobRunning, Labels: labels, Value: running},
	}
	if !j.Succeeded.IsZero() {
		gauges = append(gauges, telemetry.Gauge{Name: jobSucceeded, Labels: labels, Value: max(0, now.Sub(j.Succeeded).Seconds())})
	}
	return gauges
}

// gaugesOfEdge returns the gauges of one edge. One that was admitted before it has
// announced itself has not been seen.
func gaugesOfEdge(e fleet.EdgeState, now time.Time) []telemetry.Gauge {
	labels := map[string]string{"edge": e.Name}
	admitted := 0.0
	if !e.Admitted.IsZero() {
		admitted = 1
	}
	gauges := []telemetry.Gauge{
		{Name: edgeAdmitted, Labels: labels, Value: admitted},
		{Name: edgeStale, Labels: labels, Value: float64(len(e.Stale))},
	}
	if !e.Seen.IsZero() {
		gauges = append(gauges, telemetry.Gauge{Name: edgeSeen, Labels: labels, Value: max(0, now.Sub(e.Seen).Seconds())})
	}
	return gauges
}
