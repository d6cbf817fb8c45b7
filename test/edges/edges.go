// Package edges has edges for tests: workers of an edge's queue whose router is in
// memory, and serves what asks it directly.
package edges

import (
	"context"
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// Edge is an edge. It announces itself when the test says so.
type Edge struct {
	fleet.EdgeRecord
	*Router

	client   client.Client
	identity *seal.Identity
	worker   worker.Worker
	secret   []byte // known once an announcement was answered
}

// New returns an edge with a key of its own, on that host, that does not poll its queue
// yet.
func New(c client.Client, name string, machine fleet.Machine) (*Edge, error) {
	dir, err := os.MkdirTemp("", "mcp-edge-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	identity, err := seal.Load(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	return &Edge{
		EdgeRecord: fleet.EdgeRecord{
			Name: name, Key: identity.Key().String(), Version: "test", Hostname: name + ".example", Addresses: []string{"127.0.0.1"},
			Ports: map[int]int{80: 8080, 443: 8443}, Machine: machine,
		},
		Router: &Router{published: map[string]fleet.Publication{}, lines: map[string][]string{}, active: map[string]int{}},
		client: c, identity: identity,
	}, nil
}

// Start has the edge poll its queue until Stop.
func (e *Edge) Start() error {
	e.worker = worker.New(e.client, activities.QueueEdge(e.Name), worker.Options{
		DisableWorkflowWorker: true, WorkerStopTimeout: time.Second,
		Interceptors: []interceptor.WorkerInterceptor{attempt.NewInterceptor()},
	})
	e.worker.RegisterActivity(&onedge.Edge{Name: e.Name, Router: e.Router})
	return e.worker.Start()
}

// Stop ends that.
func (e *Edge) Stop() {
	if e.worker != nil {
		e.worker.Stop()
		e.worker = nil
	}
}

// Announce announces the edge once, and has it serve what it is answered. The error is
// that of the workflow.
func (e *Edge) Announce(ctx context.Context) (answer fleet.EdgeAnswer, err error) {
	for {
		record := e.EdgeRecord
		record.Versions = e.Status(ctx).Versions
		run, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: tend.AnnouncementID(e.Name, e.Key), TaskQueue: workflows.Queue, WorkflowExecutionTimeout: time.Minute,
			WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		}, tend.AnnounceEdgeName, record)
		if err != nil {
			return answer, err
		}
		answer = fleet.EdgeAnswer{}
		if err := run.Get(ctx, &answer); err != nil {
			return answer, err
		}
		if answer.Admitted {
			if e.secret, err = e.identity.Open(fleet.PassSubject(e.Name), answer.Pass); err != nil {
				return answer, err
			}
		}
		e.Publish(ctx, answer.Publications)
		if !answer.More {
			return answer, nil
		}
	}
}

// UseStorage carries out an operation on what edges share, by the secret of the last
// announcement.
func (e *Edge) UseStorage(ctx context.Context, o fleet.StorageOperation) (answer fleet.StorageAnswer, err error) {
	request, err := o.Proven(e.Name, e.secret, time.Now())
	if err != nil {
		return answer, err
	}
	run, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: tend.EdgeStorageID(e.Name, rand.Text()), TaskQueue: workflows.Queue, WorkflowExecutionTimeout: time.Minute,
	}, tend.EdgeStorageName, request)
	if err != nil {
		return answer, err
	}
	return answer, run.Get(ctx, &answer)
}

// Router is a router in memory. Its fields may be set before the edge starts.
type Router struct {
	// Unreachable is why upstreams are not reached, by upstream; Reports changes what it
	// reports of itself.
	Unreachable map[string]string
	Reports     func(*fleet.EdgeStatus)

	mu        sync.Mutex
	published map[string]fleet.Publication
	drained   []string
	lines     map[string][]string
	history   []fleet.Publication
	active    map[string]int
	changed   chan struct{} // closed when anything of the above has changed
}

// Publish serves publications that are newer than the former ones.
func (r *Router) Publish(_ context.Context, publications []fleet.Publication) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range publications {
		if p.Version > r.published[p.Service].Version {
			r.published[p.Service] = p
			r.history = append(r.history, p)
		}
	}
	r.change()
	return nil
}

// Drain waits until upstreams have no request.
func (r *Router) Drain(ctx context.Context, upstreams []string) map[string]int {
	for {
		r.mu.Lock()
		remaining, changed := map[string]int{}, r.wait()
		for _, u := range upstreams {
			if r.active[u] > 0 {
				remaining[u] = r.active[u]
			}
		}
		if len(remaining) == 0 || ctx.Err() != nil {
			r.drained = append(r.drained, upstreams...)
			r.mu.Unlock()
			return remaining
		}
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// Reach returns those of the upstreams that are Unreachable.
func (r *Router) Reach(_ context.Context, upstreams []string) onedge.ReachUpstreamsResult {
	problems := map[string]string{}
	for _, upstream := range upstreams {
		if why := r.Unreachable[upstream]; why != "" {
			problems[upstream] = why
		} else if why := r.Unreachable["*"]; why != "" {
			problems[upstream] = why
		}
	}
	return onedge.ReachUpstreamsResult{Problems: problems}
}

// Status returns what is published.
func (r *Router) Status(context.Context) fleet.EdgeStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := fleet.EdgeStatus{Versions: map[string]int64{}, Listening: []int{8080, 8443}}
	for service, p := range r.published {
		status.Versions[service] = p.Version
	}
	if r.Reports != nil {
		r.Reports(&status)
	}
	return status
}

// AccessLog returns lines that Logged has recorded.
func (r *Router) AccessLog(_ context.Context, service string, tail int, _ time.Time) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines[service]
	return slices.Clone(lines[max(0, len(lines)-tail):]), nil
}

// Logged adds lines to the access log of a service.
func (r *Router) Logged(service string, lines ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[service] = append(r.lines[service], lines...)
}

// Serves returns what is published, by service.
func (r *Router) Serves() map[string]fleet.Publication {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.published)
}

// History returns every publication that was taken over, in that order.
func (r *Router) History() []fleet.Publication {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// Drained returns the upstreams that were drained.
func (r *Router) Drained() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.drained)
}
