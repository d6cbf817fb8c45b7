package activities

import (
	"context"
	"strconv"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Fence keeps late activities of an older deployment from a node's
// containers. A workflow that somebody terminated gives up its lock while an
// activity of it may still be running; the deployment's number is what tells
// the late one from the new one.
type Fence struct {
	mu       sync.Mutex
	services map[string]*guard
}

// guard is what the fence knows of one service.
type guard struct {
	newest int // the newest deployment that was seen
	closed int // the newest one that was undone here
	read   int // the newest for which the containers' labels were read
	// busy is held for reading by what changes containers, and for writing
	// by an undo: so that it finds all that a step under way still makes.
	busy sync.RWMutex
}

// NewFence returns a fence that has seen nothing.
func NewFence() *Fence { return &Fence{services: map[string]*guard{}} }

func (f *Fence) guard(service string) *guard {
	g := f.services[service]
	if g == nil {
		g = &guard{}
		f.services[service] = g
	}
	return g
}

// see notes a deployment, and returns the newest one seen.
func (f *Fence) see(service string, deployment int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guard(service)
	g.newest = max(g.newest, deployment)
	return g.newest
}

// pass fails when a newer deployment was seen here.
func (f *Fence) pass(service string, deployment int) error {
	if newest := f.see(service, deployment); newest > deployment {
		return fault.New(fault.Conflict, "deployment %d of %s is over: deployment %d has begun", deployment, service, newest)
	}
	return nil
}

// enter passes the fence for a step that makes or stops containers; leave
// ends it. It fails, too, when the deployment was already undone here.
func (f *Fence) enter(service string, deployment int) (leave func(), err error) {
	f.mu.Lock()
	g := f.guard(service)
	f.mu.Unlock()
	g.busy.RLock()
	if err := f.pass(service, deployment); err != nil {
		g.busy.RUnlock()
		return nil, err
	}
	f.mu.Lock()
	closed := g.closed
	f.mu.Unlock()
	if closed >= deployment {
		g.busy.RUnlock()
		return nil, fault.New(fault.Conflict, "deployment %d of %s is being undone", deployment, service)
	}
	return g.busy.RUnlock, nil
}

// close keeps the deployment from starting anything more on this node, and
// returns when what it has under way has ended.
func (f *Fence) close(service string, deployment int) {
	f.mu.Lock()
	g := f.guard(service)
	g.closed = max(g.closed, deployment)
	f.mu.Unlock()
	g.busy.Lock()
	defer g.busy.Unlock() // the wait is all that is wanted
}

// labelsRead reports whether the labels were read for this deployment. Once is
// enough: what a newer one does after that passes this very fence.
func (f *Fence) labelsRead(service string, deployment int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.guard(service).read >= deployment
}

func (f *Fence) noteRead(service string, deployment int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guard(service)
	g.read = max(g.read, deployment)
}

// fenced passes the fence; what this process has not seen, because it is
// younger, the containers' labels tell.
func (a *Node) fenced(ctx context.Context, service string, deployment int) error {
	if err := a.Fence.pass(service, deployment); err != nil {
		return err
	}
	if a.Fence.labelsRead(service, deployment) {
		return nil
	}
	newest, err := a.newestLabel(ctx, service)
	if err != nil {
		return err
	}
	if newest > deployment {
		return fault.New(fault.Conflict, "deployment %d of %s is over: node %s has containers of deployment %d", deployment, service, a.Name, newest)
	}
	a.Fence.noteRead(service, deployment)
	return nil
}

// newestLabel is the newest deployment that the service's containers bear.
func (a *Node) newestLabel(ctx context.Context, service string) (int, error) {
	containers, err := a.Runtime.Labels(ctx, map[string]string{runtime.LabelService: service})
	if err != nil {
		return 0, err
	}
	newest := 0
	for _, labels := range containers {
		newest = max(newest, deploymentIn(labels))
	}
	return newest, nil
}

// deploymentOf is the number of the deployment that made a container; 0 if it
// bears none.
func deploymentOf(c runtime.ContainerInfo) int { return deploymentIn(c.Labels) }

func deploymentIn(labels map[string]string) int {
	n, err := strconv.Atoi(labels[runtime.LabelDeployment])
	if err != nil {
		return 0
	}
	return n
}
