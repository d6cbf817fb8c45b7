package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/node"
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
	// MachineFile holds what tells this machine from others; it is made where
	// there is none. "" is the system's own, if it has one.
	MachineFile string
}

func (r *Node) start(ctx context.Context, w *Workers, c client.Client, o Options) error {
	machine, err := r.machine(o.Logger)
	if err != nil {
		return err
	}
	if err := claim(ctx, c, fleet.Claim{Node: r.Name, Address: r.Publish, Machine: machine}); err != nil {
		return err
	}
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
		Host:     &node.Host{},
		Machine:  machine,
		Version:  o.Version,
		Publish:  r.Publish,
		Insecure: imageregistry.Insecure(r.Insecure),
		Fence:    activities.NewFence(),
		Slots:    activities.NewSlots(),
	}
	err = w.serve(c, activities.QueueNode(r.Name), worker.Options{DisableWorkflowWorker: true}, func(reg worker.Registry) {
		reg.RegisterActivity(served)
	})
	if err != nil {
		return err
	}
	version, err := engine.Version(ctx)
	if err != nil {
		o.Logger.Warn("podman does not answer", "node", r.Name, "socket", r.Socket, "error", err)
	}
	return register(ctx, c, o.Logger, fleet.NodeRecord{Name: r.Name, Address: r.Publish, Runtime: version, Version: o.Version, Boot: machine.Boot})
}

// machine is the one that this process runs on.
func (r *Node) machine(log *slog.Logger) (fleet.Machine, error) {
	id, err := node.MachineID(r.MachineFile)
	if err != nil {
		return fleet.Machine{}, fault.Wrap(fault.Invalid, err, "tell this machine from others").
			WithHint("name a file that this worker may read, or make: [node] machine in mcp.toml")
	}
	boot, err := node.BootID()
	if err != nil {
		log.Warn("a reboot of this host would go unnoticed", "node", r.Name, "error", err)
	}
	name, err := os.Hostname()
	if err != nil {
		return fleet.Machine{}, fmt.Errorf("read the name of this host: %w", err)
	}
	return fleet.Machine{ID: id, Boot: boot, Hostname: name}, nil
}

// controlPatience is how long to wait for the answer to a claim or to an
// announcement before the log says that a control worker is waited for.
const controlPatience = 15 * time.Second

// claim asks for the node's name, and returns when this machine has it. It is a
// Conflict where another has it. Else it is Unavailable: no other answer says
// that the worker may not serve, and whatever is wrong can be mended meanwhile.
func claim(ctx context.Context, c client.Client, in fleet.Claim) error {
	wait, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	run, err := c.ExecuteWorkflow(wait, client.StartWorkflowOptions{
		ID:        workflows.ClaimID(in.Node, in.Machine),
		TaskQueue: activities.QueueControl,
		// The same machine asks the same: one that was restarted while it waits.
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "node " + in.Node + " claims its name",
	}, workflows.ClaimNodeName, in)
	if err != nil {
		return fmt.Errorf("claim node %s: %w", in.Node, err)
	}
	err = run.Get(wait, nil)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && (wait.Err() != nil || errors.As(err, new(*serviceerror.DeadlineExceeded))):
		// Temporal knows when the wait ends, and may say so just before it does.
		return fault.New(fault.Unavailable, "claim node %s: no control worker has answered yet", in.Node)
	}
	f := workflows.FaultOf(err)
	if f.Kind != fault.Conflict {
		return fault.Wrap(fault.Unavailable, f, "claim node %s", in.Node)
	}
	return f
}

// register announces the node, through a workflow: a node has no access to
// the registry. It returns when the node is known, or when it serves long enough
// without.
func register(ctx context.Context, c client.Client, log *slog.Logger, record fleet.NodeRecord) error {
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
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
	wait, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	// What a boot has ended is the next run's.
	err = run.GetWithOptions(wait, nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	var revives *workflow.ContinueAsNewError
	switch {
	case err == nil || errors.As(err, &revives):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	log.Warn("the fleet does not know yet that this worker has started; it serves all the same", "node", record.Name, "error", err)
	return nil
}
