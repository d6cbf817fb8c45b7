package workers

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/telemetry"
)

// The metrics that every control worker reads from the registry, for all nodes.
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
)

// driftKinds are shown where there is none of a kind, too.
var driftKinds = []fleet.DriftKind{
	fleet.DriftMissing, fleet.DriftRenamed, fleet.DriftStopped, fleet.DriftRunning, fleet.DriftWrongImage, fleet.DriftReplaced,
	fleet.DriftFlapping, fleet.DriftUnhealthy, fleet.DriftOrphan, fleet.DriftUnreachable, fleet.DriftDisk, fleet.DriftMemory,
}

// declareFleet has the state of the fleet read at each scrape.
func declareFleet(t *telemetry.Telemetry, store *registry.Store) {
	of := func(names ...string) (labels []telemetry.Label) {
		for _, name := range names {
			labels = append(labels, telemetry.Label{Name: name})
		}
		return labels
	}
	for _, m := range []telemetry.Metric{
		{Name: nodeUp, Help: "1 where the node is ready, 0 where it is unreachable.", Labels: of("node")},
		{Name: nodeCPU, Help: "How busy all processors together were, 0 to 1.", Labels: of("node")},
		{Name: nodeLoad, Help: "The load average of a minute.", Labels: of("node")},
		{Name: nodeMemory, Help: "The memory of the node.", Labels: of("node")},
		{Name: nodeMemoryUsed, Help: "How much of it is in use.", Labels: of("node")},
		{Name: nodeDisk, Help: "The size of the file system that podman's storage, or a volume, is on.", Labels: of("node", "path")},
		{Name: nodeDiskUsed, Help: "How much of it is in use.", Labels: of("node", "path")},
		{Name: nodeContainers, Help: "How many containers there are, running or not.", Labels: of("node")},
		{Name: nodeRunning, Help: "How many containers run.", Labels: of("node")},
		{Name: nodePorts, Help: "How many ports components hold.", Labels: of("node")},
		{Name: nodeDrift, Help: "How many drifts of a kind have begun and not ended.", Labels: of("node", "kind")},
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
		var gauges []telemetry.Gauge
		for _, n := range nodes {
			gauges = append(gauges, gaugesOf(n, ports[n.Name])...)
		}
		return gauges, nil
	})
}

// gaugesOf are those of one node. Figures are of nodes that answer only: those
// of another one are old.
func gaugesOf(n fleet.NodeState, ports int) (gauges []telemetry.Gauge) {
	add := func(name string, value float64, more ...string) {
		labels := map[string]string{"node": n.Name}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		gauges = append(gauges, telemetry.Gauge{Name: name, Labels: labels, Value: value})
	}
	add(nodePorts, float64(ports))
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
