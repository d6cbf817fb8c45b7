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

// Queue is one kind of tasks of one task queue.
type Queue struct {
	Name string
	// Workflows says that it holds workflow tasks, not activities.
	Workflows bool
}

// String names the queue for an operator.
func (q Queue) String() string {
	if q.Workflows {
		return q.Name + " (workflows)"
	}
	return q.Name + " (activities)"
}

// settled is how long a poll must have waited to prove, after one that failed,
// that the queue can be polled again: a refusal comes sooner.
const settled = time.Second

// polls sees each poll of a connection to Temporal. The SDK does not say
// whether its workers get through, and Temporal, which does, remembers a poller
// for five minutes after its end.
type polls struct {
	mu     sync.Mutex
	queues map[Queue]*polled
}

// polled is what was seen of one queue.
type polled struct {
	waiting map[*time.Time]struct{} // since when each poll under way has waited
	failed  error                   // of the last poll that has ended
}

func newPolls() *polls { return &polls{queues: map[Queue]*polled{}} }

// Polling returns nil if this process polls a queue, or why it does not. A
// worker that has all the work it can do polls for no more; that is no error.
func (t *Telemetry) Polling(q Queue) error { return t.polls.polling(q, time.Now()) }

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

// queueOf is the queue that a request polls, if it polls one. The queue of a
// workflow that one worker has in its memory counts as the one that it came
// from.
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

// end notes how a poll ended. One that this process gave up itself, because it
// stops, tells nothing of the queue.
func (p *polls) end(ctx context.Context, q Queue, began *time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.queues[q].waiting, began)
	if !errors.Is(ctx.Err(), context.Canceled) {
		p.queues[q].failed = err
	}
}
