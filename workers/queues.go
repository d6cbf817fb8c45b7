package workers

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fault"
)

// queues inspects Temporal's task queues.
type queues struct {
	client    client.Client
	namespace string
}

// Polled reports whether Temporal lists a poller of the queue for activities. It
// still lists a dead one for five minutes.
func (q queues) Polled(ctx context.Context, queue string) (bool, error) {
	described, err := q.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace:     q.namespace,
		TaskQueue:     &taskqueue.TaskQueue{Name: queue},
		TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
	})
	if err != nil {
		return false, fault.Wrap(fault.Unavailable, err, "query Temporal for the pollers of %s", queue)
	}
	return len(described.GetPollers()) > 0, nil
}

// LastCall is the newest of two: the last poll of the queue, which every server lists
// and a worker repeats once a minute, and the last heartbeat of its workers, which
// servers list if that is enabled.
func (q queues) LastCall(ctx context.Context, queue string) (last time.Time) {
	newer := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	described, err := q.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: q.namespace, TaskQueue: &taskqueue.TaskQueue{Name: queue}, TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
	})
	if err == nil {
		for _, p := range described.GetPollers() {
			newer(p.GetLastAccessTime().AsTime())
		}
	}
	listed, err := q.client.WorkflowService().ListWorkers(ctx, &workflowservice.ListWorkersRequest{
		Namespace: q.namespace, Query: fmt.Sprintf("TaskQueue = %q", queue),
	})
	if err == nil {
		for _, w := range listed.GetWorkersInfo() {
			newer(w.GetWorkerHeartbeat().GetHeartbeatTime().AsTime())
		}
	}
	return last
}
