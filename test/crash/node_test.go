package crash

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// nodeNames are the nodes of a rig. Cases deploy to the first; the second has the
// builder's podman too.
var nodeNames = []string{"rift", "orion", "vega"}

// machine is a node of a rig: a host with a podman of its own.
type machine struct {
	*host
	name   string
	engine *podman.Engine
	proxy  *engineProxy // before podman, for the roles
	// unplugged is set while its containers cannot be reached.
	unplugged atomic.Bool
}

func (m *machine) cut() error {
	m.unplugged.Store(true)
	return m.host.cut()
}

// plug returns when the host can be reached, which takes a while.
func (m *machine) plug() error {
	if err := m.host.plug(); err != nil {
		return err
	}
	err := await(timeout, m.name+" can be reached", func() bool {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(m.address, discard), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil || errors.Is(err, syscall.ECONNREFUSED)
	})
	m.unplugged.Store(err != nil)
	return err
}

// discard is a port on which no process listens: the host itself refuses.
const discard = "9"

// powerOff ends all processes of the machine.
func (m *machine) powerOff(r *rig) error {
	m.unplugged.Store(true)
	r.parts[workerOf(m.name)].kill()
	err := r.parts[podmanOf(m.name)].now().(*parts.Podman).PowerOff()
	return errors.Join(err, m.reset())
}

// powerOn boots the machine.
func (m *machine) powerOn(ctx context.Context, r *rig) error {
	m.boot = r.path(m.name + ".boot")
	if err := os.WriteFile(m.boot, []byte(rand.Text()), 0o600); err != nil {
		return err
	}
	return errors.Join(r.parts[podmanOf(m.name)].up(ctx), r.parts[workerOf(m.name)].up(ctx))
}

// revived reports whether the machine's worker has started the released containers
// after the last boot.
func (m *machine) revived(ctx context.Context, r *rig) bool {
	var recorded string
	if err := r.ask(ctx, &recorded, "select boot from nodes where name = $1", m.name); err != nil {
		return false
	}
	boot, err := os.ReadFile(m.boot)
	return err == nil && len(boot) > 0 && recorded == string(boot)
}

// podmanOf is the name of a node's podman among the rig's parts.
func podmanOf(node string) string {
	switch node {
	case nodeNames[0]:
		return thePodman
	case nodeNames[1]:
		return theBuildersPodman
	}
	return thePodman + " of " + node
}

// workerOf is the name of a node's worker among the rig's parts.
func workerOf(node string) string {
	if node == nodeNames[0] {
		return theNodeWorker
	}
	return theNodeWorker + " of " + node
}

// addNode makes a node of a host; its podman starts with the other parts.
func (r *rig) addNode(name string, on *host) {
	m := &machine{host: on, name: name}
	r.nodes = append(r.nodes, m)
	r.parts[podmanOf(name)] = &part{name: podmanOf(name), start: func(ctx context.Context) (process, error) {
		p, err := parts.StartPodman(ctx, parts.PodmanOptions{Dir: r.path(name), Private: true, Unfiltered: true, Namespace: on.netns()})
		if err == nil && m.engine == nil {
			m.engine = podman.New(p.Socket())
			m.proxy, err = newEngineProxy(r.path(name+".sock"), p.Socket())
		}
		return p, err
	}}
}

// node returns the node with that name.
func (r *rig) node(name string) *machine {
	for _, m := range r.nodes {
		if m.name == name {
			return m
		}
	}
	return nil
}

// nodeOf returns the node whose podman is that target.
func (r *rig) nodeOf(target string) *machine {
	for _, m := range r.nodes {
		if podmanOf(m.name) == target {
			return m
		}
	}
	return nil
}

// answers reports whether a node's worker answers.
func (r *rig) answers(ctx context.Context, node string) bool {
	run, err := r.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: workflows.Queue},
		reads.ProcessesName, reads.ProcessesInput{Nodes: []string{node}})
	var found reads.ProcessesResult
	if err == nil {
		err = run.Get(ctx, &found)
	}
	return err == nil && found.Nodes[node].Error == nil
}

// announced reports whether a node's worker has announced itself since a time, and
// the workflow of that has ended.
func (r *rig) announced(ctx context.Context, node string, since time.Time) bool {
	described, err := r.temporal.DescribeWorkflow(ctx, tend.NodeID(node), "")
	return err == nil && described.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED && described.WorkflowStartTime.After(since)
}

// unplugged reports whether any node is cut off.
func (r *rig) unplugged() bool {
	return slices.ContainsFunc(r.nodes, func(m *machine) bool { return m.unplugged.Load() })
}

// volume is the directory of a service's data; all hosts have the same files.
func (r *rig) volume(service string) string { return filepath.Join(r.dir, "volumes", service) }

// found is a container and its node.
type found struct {
	Node, Address string
	runtime.ContainerInfo
}

// key identifies it among the containers of all nodes.
func (f found) key() string { return f.Node + "/" + f.Name }

// containers lists the containers of all nodes.
func (r *rig) containers(ctx context.Context) ([]found, error) {
	var all []found
	for _, m := range r.nodes {
		here, err := m.engine.List(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("list the containers of %s: %w", m.name, err)
		}
		for _, c := range here {
			all = append(all, found{m.name, m.address, c})
		}
	}
	return all, nil
}
