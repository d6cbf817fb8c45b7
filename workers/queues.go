package workers

import (
	"context"

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
