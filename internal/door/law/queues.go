package law

import (
	"context"
	"slices"
	"strings"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/identity"
)

// mayPoll reports whether the caller may take the activities of a queue. An operator
// builds under any builder's name, and a deployer under its own.
func mayPoll(of identity.Identity, queue string) bool {
	switch of.Role {
	case identity.Control:
		return queue == activities.QueueControl
	case identity.Node:
		return queue == activities.QueueNode(of.Name)
	case identity.Edge:
		return queue == activities.QueueEdge(of.Name)
	case identity.Builder, identity.Deployer:
		return queue == activities.QueueBuild(of.Name) || queue == activities.QueueBuildLog(of.Name)
	case identity.Operator:
		return strings.HasPrefix(queue, activities.QueueBuild("")) || strings.HasPrefix(queue, activities.QueueBuildLog(""))
	}
	return false
}

func (c *call) ownQueue(queue string) error {
	if mayPoll(c.caller, queue) {
		return nil
	}
	r := c.refused(ForeignQueue, "the task queue %.80q is another's", queue)
	if c.caller.Role == identity.Deployer && strings.HasPrefix(queue, activities.QueueBuild("")) {
		return r.hint("set [build] builder = %q in mcp.toml", c.caller.Name)
	}
	return r
}

func pollsActivities(_ context.Context, c *call) error {
	queue := c.req.(*workflowservice.PollActivityTaskQueueRequest).GetTaskQueue()
	if queue.GetKind() == enums.TASK_QUEUE_KIND_STICKY {
		return c.refused(ForeignQueue, "activities have no sticky queue")
	}
	return c.ownQueue(queue.GetName())
}

// pollsWorkflows permits the control queue, and a worker's own queue for workflows that
// it keeps in memory.
func pollsWorkflows(_ context.Context, c *call) error {
	queue := c.req.(*workflowservice.PollWorkflowTaskQueueRequest).GetTaskQueue()
	if queue.GetKind() == enums.TASK_QUEUE_KIND_STICKY {
		return c.stickyQueue(queue)
	}
	return c.ownQueue(queue.GetName())
}

// stickyQueue permits a sticky queue of the control queue.
func (c *call) stickyQueue(queue *taskqueue.TaskQueue) error {
	if queue.GetNormalName() != activities.QueueControl || queue.GetName() == "" {
		return c.refused(ForeignQueue, "the sticky queue %.80q is not of the control queue", queue.GetName())
	}
	return nil
}

func heartbeatsOfItself(_ context.Context, c *call) error {
	for _, beat := range c.req.(*workflowservice.RecordWorkerHeartbeatRequest).GetWorkerHeartbeat() {
		if err := c.ownQueue(beat.GetTaskQueue()); err != nil {
			return err
		}
	}
	return nil
}

func shutsDownItself(_ context.Context, c *call) error {
	in := c.req.(*workflowservice.ShutdownWorkerRequest)
	if c.caller.Role != identity.Control {
		in.StickyTaskQueue = "" // it runs no workflows
		in.TaskQueueTypes = slices.DeleteFunc(in.TaskQueueTypes, func(t enums.TaskQueueType) bool { return t != enums.TASK_QUEUE_TYPE_ACTIVITY })
	}
	if beat := in.GetWorkerHeartbeat(); beat != nil {
		if err := c.ownQueue(beat.GetTaskQueue()); err != nil {
			return err
		}
	}
	if in.GetTaskQueue() == "" {
		return nil
	}
	return c.ownQueue(in.GetTaskQueue())
}

// tokened is a request that answers a task.
type tokened interface{ GetTaskToken() []byte }

// unwraps judges the token of a request, and passes on Temporal's own.
func unwraps(for_ use) func(context.Context, *call) error {
	return func(_ context.Context, c *call) error { return c.unwrapTask(for_) }
}

func (c *call) unwrapTask(for_ use) error {
	wrapped := c.req.(tokened).GetTaskToken()
	token, ok := c.law.tokens.unwrap(c.caller, for_, wrapped)
	if !ok || len(token) == 0 {
		return c.refused(ForeignToken, "the token of the task was not given to this identity")
	}
	setBytes(c.req, "task_token", token)
	return nil
}

// paged is a request, or an answer, of one page of a list.
type paged interface{ GetNextPageToken() []byte }

func unwrapsPage(_ context.Context, c *call) error {
	token, ok := c.law.tokens.unwrap(c.caller, forPage, c.req.(paged).GetNextPageToken())
	if !ok {
		return c.refused(ForeignToken, "the token of the page was not given to this identity").hint("read it again from its beginning")
	}
	setBytes(c.req, "next_page_token", token)
	return nil
}

func wrapsPage(c *call, answer proto.Message) error {
	setBytes(answer, "next_page_token", c.law.tokens.wrap(c.caller, forPage, answer.(paged).GetNextPageToken()))
	return nil
}

func wrapActivity(c *call, answer proto.Message) error {
	task := answer.(*workflowservice.PollActivityTaskQueueResponse)
	task.TaskToken = c.law.tokens.wrap(c.caller, forActivity, task.TaskToken)
	return nil
}

func wrapWorkflowTask(c *call, answer proto.Message) error {
	task := answer.(*workflowservice.PollWorkflowTaskQueueResponse)
	for_ := forWorkflow
	if task.GetQuery() != nil { // it is answered by RespondQueryTaskCompleted alone
		for_ = forQuery
	}
	task.TaskToken = c.law.tokens.wrap(c.caller, for_, task.TaskToken)
	task.NextPageToken = c.law.tokens.wrap(c.caller, forPage, task.NextPageToken)
	return nil
}

// completes judges the answer of a workflow task.
func completes(_ context.Context, c *call) error {
	in := c.req.(*workflowservice.RespondWorkflowTaskCompletedRequest)
	if err := c.unwrapTask(forWorkflow); err != nil {
		return err
	}
	if queue := in.GetStickyAttributes().GetWorkerTaskQueue(); queue != nil {
		if err := c.stickyQueue(queue); err != nil {
			return err
		}
	}
	for _, command := range in.GetCommands() {
		if err := c.command(command); err != nil {
			return err
		}
	}
	return nil
}

// wrapCompletion wraps the tokens of tasks that come with the answer to another one.
func wrapCompletion(c *call, answer proto.Message) error {
	in := answer.(*workflowservice.RespondWorkflowTaskCompletedResponse)
	if in.GetWorkflowTask() != nil {
		if err := wrapWorkflowTask(c, in.GetWorkflowTask()); err != nil {
			return err
		}
	}
	for _, task := range in.GetActivityTasks() {
		if err := wrapActivity(c, task); err != nil {
			return err
		}
	}
	return nil
}

// plainNamespace removes capabilities that would make clients use methods that are
// refused.
func plainNamespace(_ *call, answer proto.Message) error {
	in := answer.(*workflowservice.DescribeNamespaceResponse)
	if able := in.GetNamespaceInfo().GetCapabilities(); able != nil {
		in.NamespaceInfo.Capabilities = &namespace.NamespaceInfo_Capabilities{
			EagerWorkflowStart: able.EagerWorkflowStart, SyncUpdate: able.SyncUpdate, AsyncUpdate: able.AsyncUpdate,
			WorkerHeartbeats: able.WorkerHeartbeats, WorkerPollCompleteOnShutdown: able.WorkerPollCompleteOnShutdown,
			PollerAutoscaling: able.PollerAutoscaling,
		}
		in.NamespaceInfo.Capabilities.EagerWorkflowStart = false
	}
	return nil
}
