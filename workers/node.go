package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/hosts"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/probe"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/stream/serve"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// Node is the role of a host with podman. Only its worker changes the node's
// containers. It runs no workflow code and needs no password.
type Node struct {
	Name string
	// Socket is podman's, such as "unix:///run/podman/podman.sock".
	Socket string
	// Publish is the address that routes are published on.
	Publish string
	// PortLow and PortHigh bound the ports of routes; 0 means 10000–60000.
	PortLow, PortHigh int
	// Insecure lists the image registries that serve plain http.
	Insecure []string
	// AuthFile holds credentials for image registries; "" means podman's own.
	AuthFile string
	// Signed maps image registries to the files of the public keys of which one must have
	// signed their images; see signing.Requirements.
	Signed map[string][]string
	// MachineFile contains an identifier of this machine; it is created if it is
	// missing. "" means the system's file, if it has one.
	MachineFile string
	// Data is the directory for the files that containers mount, also as /etc/hosts; ""
	// refuses such files, and gives components no names.
	Data string
	// TaskLogs is the directory that keeps the output of steps and jobs; "" keeps none.
	TaskLogs string
	// Policy is the file with the policy of this host; "" means policy.DefaultFile, which may
	// be missing.
	Policy string
	// KeyFile contains the private key to which secrets for the node are sealed; it is
	// created if it is missing. "" means no key: the node takes no managed secret.
	KeyFile string
	// Signers are the public keys of the operators whose secrets the node takes.
	Signers []string
	// Doors connect to the gateways for streams, one function for each; none if Temporal is
	// reached without gateways.
	Doors []func(context.Context) (net.Conn, error)
}

func (r *Node) start(ctx context.Context, w *Workers, c client.Client) error {
	machine, err := r.machine(w.log)
	if err != nil {
		return err
	}
	signatures, err := r.signatures()
	if err != nil {
		return err
	}
	reader, err := r.reader(w.log)
	if err != nil {
		return err
	}
	claimed := fleet.Claim{Node: r.Name, Address: r.Publish, Machine: machine, Signers: r.Signers}
	if reader.Identity != nil {
		claimed.Key = reader.Identity.Key().String()
		w.log.Info("secrets are sealed to this node's key", "node", r.Name, "fingerprint", reader.Identity.Key().Fingerprint())
	}
	if err := claim(ctx, c, claimed); err != nil {
		return err
	}
	if err := node.NotifyNeighbours(); err != nil {
		w.log.Warn("connections to containers may stall when other containers start or stop", "node", r.Name, "error", err)
	}
	engine := w.podman(r.Name, r.Socket).LoginsFrom(r.AuthFile).FilesIn(r.Data)
	ports := node.PortOptions{Low: r.PortLow, High: r.PortHigh, Address: r.Publish}
	served := &onnode.Node{
		Name:     r.Name,
		Runtime:  engine,
		Ports:    ports,
		Probe:    probe.Prober{},
		Host:     &node.Host{},
		Machine:  machine,
		Version:  w.version,
		Publish:  r.Publish,
		Insecure: imageregistry.Insecure(r.Insecure),
		Fence:    onnode.NewFence(),
		Slots:    onnode.NewSlots(),
		Policies: w.policies(r.Name, r.Policy, r.Socket),
		PortLow:  cmp.Or(r.PortLow, node.DefaultPortLow), PortHigh: cmp.Or(r.PortHigh, node.DefaultPortHigh),
		Secrets: reader,

		Signatures: signatures,
	}
	if r.Data != "" {
		served.Admissions = node.Admissions{Dir: filepath.Join(r.Data, "admitted", r.Name)}
		served.Names.Files = hosts.Files{Dir: filepath.Join(r.Data, "hosts", r.Name)}
	}
	if r.TaskLogs != "" {
		served.TaskLogs = node.TaskLogs{Dir: r.TaskLogs}
	}
	err = w.serve(c, activities.QueueNode(r.Name), worker.Options{DisableWorkflowWorker: true}, func(reg worker.Registry) {
		reg.RegisterActivity(served)
	})
	if err != nil {
		return err
	}
	w.serveStreams(r.Name, r.Doors, serve.New(engine, onnode.NewDirect(served), w.log))
	version, err := engine.Version(ctx)
	if err != nil {
		w.log.Warn("podman does not answer", "node", r.Name, "socket", r.Socket, "error", err)
	} else if err := served.BeginAdmissions(ctx); err != nil {
		w.log.Warn("what runs here is not noted, which a reconcile needs where the policy forbids it", "node", r.Name, "error", err)
	}
	return announce(ctx, c, w.log, fleet.NodeRecord{Name: r.Name, Address: r.Publish, Runtime: version, Version: w.version, Boot: machine.Boot})
}

// reader returns what opens the secrets of the node. A key that cannot be used keeps no
// container from running: the node works without managed secrets, and says why.
func (r *Node) reader(log *slog.Logger) (secrets.Reader, error) {
	reader := secrets.Reader{Node: r.Name}
	var err error
	if reader.Signers, err = signersOf(r.Signers); err != nil {
		return reader, err
	}
	if r.KeyFile == "" {
		return reader, nil
	}
	identity, err := seal.Load(r.KeyFile)
	if err != nil {
		log.Error("this node takes no managed secrets: its key cannot be used", "node", r.Name, "error", err)
		return reader, nil
	}
	reader.Identity = identity
	return reader, nil
}

// signersOf reads the signers of a configuration.
func signersOf(texts []string) (signers []secrets.Signer, err error) {
	for _, text := range texts {
		signer, err := secrets.ParseSigner(text)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "read [node] signers")
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// machine identifies the machine that this process runs on.
func (r *Node) machine(log *slog.Logger) (fleet.Machine, error) {
	id, err := node.MachineID(r.MachineFile)
	if err != nil {
		return fleet.Machine{}, fault.Wrap(fault.Invalid, err, "identify this machine").
			WithHint("name a file that this worker may read or create: [node] machine in mcp.toml")
	}
	boot, err := node.BootID()
	if err != nil {
		log.Warn("reboots of this host cannot be detected", "node", r.Name, "error", err)
	}
	name, err := os.Hostname()
	if err != nil {
		return fleet.Machine{}, fmt.Errorf("read the name of this host: %w", err)
	}
	return fleet.Machine{ID: id, Boot: boot, Hostname: name}, nil
}

// controlTimeout bounds the wait for the answer of a control worker to a claim or
// an announcement.
const controlTimeout = 15 * time.Second

// claim claims the node's name, and returns when this machine holds it. The error
// is a Conflict if another machine holds it, Unauthorized if the control worker and this
// one have no key in common, and Unavailable otherwise: no other
// answer means that the worker must not serve, and its cause can be repaired
// meanwhile.
func claim(ctx context.Context, c client.Client, in fleet.Claim) error {
	wait, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	run, err := c.ExecuteWorkflow(wait, client.StartWorkflowOptions{
		ID:        tend.ClaimID(in.Node, in.Machine),
		TaskQueue: activities.QueueControl,
		// A worker that restarts while its claim waits makes the same claim again.
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "node " + in.Node + " claims its name",
	}, tend.ClaimNodeName, in)
	if err != nil {
		return fmt.Errorf("claim node %s: %w", in.Node, err)
	}
	err = run.Get(wait, nil)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && (wait.Err() != nil || errors.As(err, new(*serviceerror.DeadlineExceeded))):
		// Temporal has the deadline too, and may report it just before it passes.
		return fault.New(fault.Unavailable, "claim node %s: no control worker has answered yet", in.Node)
	}
	f := workflows.FaultOf(err)
	if f.Kind == fault.Unauthorized {
		// One of the two cannot read what the other has encrypted.
		claimed := *f
		claimed.Message = "claim node " + in.Node + ": " + f.Message
		return &claimed
	}
	if f.Kind != fault.Conflict {
		return fault.Wrap(fault.Unavailable, f, "claim node %s", in.Node)
	}
	return f
}

// announce announces the node through a workflow, because a node has no access to
// the registry. It returns when the node is recorded, or after a timeout, because
// the worker can serve without.
func announce(ctx context.Context, c client.Client, log *slog.Logger, record fleet.NodeRecord) error {
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        tend.NodeID(record.Name),
		TaskQueue: activities.QueueControl,
		// An announcement that still waits for Postgres is outdated, and needs no
		// undo.
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
		StaticSummary:            "node " + record.Name + " announces itself",
	}, tend.RegisterNodeName, record)
	if err != nil {
		return fmt.Errorf("announce node %s: %w", record.Name, err)
	}
	wait, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	// The next run revives the containers that a boot has ended.
	err = run.GetWithOptions(wait, nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	var revives *workflow.ContinueAsNewError
	switch {
	case err == nil || errors.As(err, &revives):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	log.Warn("the registry does not record this worker's start yet; the worker serves anyway", "node", record.Name, "error", err)
	return nil
}
