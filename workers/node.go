package workers

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/probe"
	"github.com/metacircular/mcp/workflows"
)

// Node is the role of a host with podman: its own worker alone touches its
// containers. It runs no workflow code and needs no password.
type Node struct {
	Name string
	// Socket is podman's, "unix:///run/podman/podman.sock".
	Socket string
	// Publish is the address that routes are published on; 127.0.0.1 unless
	// told otherwise.
	Publish string
	// PortLow and PortHigh bound the ports that routes get; 0 for 10000–60000.
	PortLow, PortHigh int
	// Insecure are the image registries that speak plain http.
	Insecure []string
	// AuthFile holds credentials for image registries; "" for podman's own.
	AuthFile string
}

func (r *Node) start(ctx context.Context, w *Workers, c client.Client, o Options) error {
	if err := node.NotifyNeighbours(); err != nil {
		o.Logger.Warn("connections to containers may stall while others come and go", "node", r.Name, "error", err)
	}
	engine := w.podman(r.Socket).LoginsFrom(r.AuthFile)
	ports := node.PortOptions{Low: r.PortLow, High: r.PortHigh, Address: r.Publish}
	served := &activities.Node{
		Name:     r.Name,
		Runtime:  engine,
		Ports:    ports,
		Probe:    probe.Prober{},
		Host:     host{},
		Version:  o.Version,
		Publish:  r.Publish,
		Insecure: imageregistry.Insecure(r.Insecure),
		Fence:    activities.NewFence(),
		Turns:    activities.NewTurns(),
	}
	err := w.serve(c, activities.QueueNode(r.Name), worker.Options{DisableWorkflowWorker: true}, func(reg worker.Registry) {
		reg.RegisterActivity(served)
	})
	if err != nil {
		return err
	}
	version, err := engine.Version(ctx)
	if err != nil {
		o.Logger.Warn("podman does not answer", "node", r.Name, "socket", r.Socket, "error", err)
	}
	boot, err := node.BootID()
	if err != nil {
		o.Logger.Warn("a reboot of this host would go unnoticed", "node", r.Name, "error", err)
	}
	return register(ctx, c, plan.NodeRecord{Name: r.Name, Address: r.Publish, Runtime: version, Version: o.Version, Boot: boot})
}

// register announces the node, through a workflow: a node has no access to
// the registry.
func register(ctx context.Context, c client.Client, record plan.NodeRecord) error {
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        workflows.NodeID(record.Name),
		TaskQueue: activities.QueueControl,
		// An announcement that still waits for Postgres is out of date, and has
		// nothing to undo.
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
		StaticSummary:            "node " + record.Name + " announces itself",
	}, workflows.RegisterNodeName, record)
	if err != nil {
		return fmt.Errorf("announce node %s: %w", record.Name, err)
	}
	return nil
}
