package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// Queue is the tasks of one kind in one task queue.
type Queue struct {
	Name string
	// Workflows selects workflow tasks instead of activity tasks.
	Workflows bool
}

// String returns the queue's name for an operator.
func (q Queue) String() string {
	if q.Workflows {
		return q.Name + " (workflows)"
	}
	return q.Name + " (activities)"
}

// settled is how long a poll must have waited, after one that failed, to prove
// that the queue can be polled: a refusal arrives sooner.
const settled = time.Second

// polls records each poll of a connection to Temporal. The SDK does not report
// whether its workers reach Temporal, and Temporal lists a poller for five minutes
// after its end.
type polls struct {
	mu     sync.Mutex
	queues map[Queue]*polled
}

// polled is the state of the polls of one queue.
type polled struct {
	waiting map[*time.Time]struct{} // the start of each open poll
	failed  error                   // the error of the last poll that ended
}

func newPolls() *polls { return &polls{queues: map[Queue]*polled{}} }

func (p *polls) polling(q Queue, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, ok := p.queues[q]
	if !ok {
		return errors.New("it has not been polled yet")
	}
	if seen.failed == nil {
		return nil
	}
	for since := range seen.waiting {
		if now.Sub(*since) >= settled {
			return nil
		}
	}
	return fmt.Errorf("the last poll failed: %w", seen.failed)
}

// intercept is a grpc.UnaryClientInterceptor.
func (p *polls) intercept(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	queue, ok := queueOf(in)
	if !ok {
		return invoke(ctx, method, in, out, cc, o...)
	}
	began := p.begin(queue)
	err := invoke(ctx, method, in, out, cc, o...)
	p.end(ctx, queue, began, err)
	return err
}

// queueOf returns the queue that a request polls, if it polls one. A sticky queue,
// of the workflows that one worker caches, counts as the queue that they came from.
func queueOf(request any) (Queue, bool) {
	var asked *taskqueue.TaskQueue
	workflows := false
	switch r := request.(type) {
	case *workflowservice.PollWorkflowTaskQueueRequest:
		asked, workflows = r.GetTaskQueue(), true
	case *workflowservice.PollActivityTaskQueueRequest:
		asked = r.GetTaskQueue()
	default:
		return Queue{}, false
	}
	if normal := asked.GetNormalName(); normal != "" {
		return Queue{normal, workflows}, true
	}
	return Queue{asked.GetName(), workflows}, true
}

func (p *polls) begin(q Queue) *time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queues[q] == nil {
		p.queues[q] = &polled{waiting: map[*time.Time]struct{}{}}
	}
	began := time.Now()
	p.queues[q].waiting[&began] = struct{}{}
	return &began
}

// end records the end of a poll. The error of one that this process cancelled,
// because it stops, does not concern the queue.
func (p *polls) end(ctx context.Context, q Queue, began *time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.queues[q].waiting, began)
	if !errors.Is(ctx.Err(), context.Canceled) {
		p.queues[q].failed = err
	}
}
