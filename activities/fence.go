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
	mu     sync.Mutex
	newest map[string]int
	closed map[string]int
}

// NewFence returns a fence that has seen nothing.
func NewFence() *Fence {
	return &Fence{newest: map[string]int{}, closed: map[string]int{}}
}

// pass fails when a deployment newer than this one was seen here.
func (f *Fence) pass(service string, deployment int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if newest := f.newest[service]; newest > deployment {
		return fault.New(fault.Conflict, "deployment %d of %s is over: deployment %d has begun", deployment, service, newest)
	}
	f.newest[service] = deployment
	return nil
}

// open fails, too, when the deployment was already undone here.
func (f *Fence) open(service string, deployment int) error {
	if err := f.pass(service, deployment); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed[service] >= deployment {
		return fault.New(fault.Conflict, "deployment %d of %s is being undone", deployment, service)
	}
	return nil
}

// close keeps the deployment from starting anything more on this node.
func (f *Fence) close(service string, deployment int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed[service] = max(f.closed[service], deployment)
}

// fenced passes the fence; what this process has not seen, because it is
// younger, the containers' labels tell.
func (a *Node) fenced(ctx context.Context, service string, deployment int) error {
	if err := a.Fence.pass(service, deployment); err != nil {
		return err
	}
	containers, err := a.Runtime.List(ctx, map[string]string{runtime.LabelService: service})
	if err != nil {
		return err
	}
	for _, c := range containers {
		if n := deploymentOf(c); n > deployment {
			return fault.New(fault.Conflict, "deployment %d of %s is over: container %s is of deployment %d", deployment, service, c.Name, n)
		}
	}
	return nil
}

// deploymentOf is the number of the deployment that made a container; 0 if it
// bears none.
func deploymentOf(c runtime.ContainerInfo) int {
	n, err := strconv.Atoi(c.Labels[runtime.LabelDeployment])
	if err != nil {
		return 0
	}
	return n
}
