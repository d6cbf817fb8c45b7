package local

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// temporalChecks are those of Temporal itself.
type temporalChecks struct {
	client    client.Client
	namespace string
}

func (t temporalChecks) namespaceExists(ctx context.Context) []finding {
	const check = "namespace"
	_, err := t.client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: t.namespace})
	if err != nil {
		return []finding{away(check, exit.FaultOf(exit.Temporal(err)))}
	}
	return []finding{ok(check, "%s is there", t.namespace)}
}

func (t temporalChecks) searchAttributes(ctx context.Context) []finding {
	const check = "search attributes"
	listed, err := t.client.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: t.namespace})
	var denied *serviceerror.PermissionDenied
	var absent *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &denied):
		return []finding{warn(check, "check in Temporal's UI that these exist: "+strings.Join(attributeNames(nil), ", "), "Temporal does not list them to this client")}
	case errors.As(err, &absent):
		return nil // namespaceExists reports it
	case err != nil:
		return []finding{fail(check, exit.FaultOf(exit.Temporal(err)))}
	}
	if missing := attributeNames(listed.GetCustomAttributes()); len(missing) > 0 {
		f := fault.New(fault.NotFound, "namespace %s lacks %s", t.namespace, strings.Join(missing, ", "))
		return []finding{fail(check, f.WithHint("start a control worker, which makes them: mcp worker --control"))}
	}
	return []finding{ok(check, "%s are there", strings.Join(attributeNames(nil), ", "))}
}

// attributeNames returns mcp's search attributes that are not among those there.
func attributeNames(there map[string]enums.IndexedValueType) []string {
	var names []string
	for _, key := range workflows.SearchAttributes() {
		if _, known := there[key.GetName()]; !known {
			names = append(names, key.GetName())
		}
	}
	return names
}

func (t temporalChecks) builderPolls(ctx context.Context, builder string) finding {
	return t.polled(ctx, "builder", activities.QueueBuild(builder), "start it where the sources are: mcp worker --builder "+builder+" --workspace DIR")
}

// nodesPoll finds the workers of nodes in Temporal, for when no control worker can ask
// them.
func (t temporalChecks) nodesPoll(ctx context.Context, nodes []string) []finding {
	var checks []func(context.Context) []finding
	for _, name := range nodes {
		checks = append(checks, func(ctx context.Context) []finding {
			return []finding{t.polled(ctx, "node "+name, activities.QueueNode(name), "start it on that host: mcp worker --node "+name)}
		})
	}
	return sideBySide(ctx, checks...)
}

// pollAge is how old a poll may be: Temporal lists pollers for minutes, and a live one
// polls again after one minute.
const pollAge = 75 * time.Second

// polled finds whether a worker polls a queue.
func (t temporalChecks) polled(ctx context.Context, check, queue, hint string) finding {
	described, err := t.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: t.namespace, TaskQueue: &taskqueue.TaskQueue{Name: queue}, TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
	})
	if err != nil {
		return fail(check, exit.FaultOf(exit.Temporal(err)))
	}
	for _, p := range described.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) < pollAge {
			return ok(check, "a worker polls %s: %s", queue, p.GetIdentity())
		}
	}
	return fail(check, fault.New(fault.Unavailable, "no worker polls %s", queue).WithHint("%s", hint))
}

// schedules finds the schedules that start what mcp does by itself.
func (t temporalChecks) schedules(ctx context.Context) []finding {
	const check = "schedules"
	var missing, paused []string
	for _, id := range tend.Schedules() {
		described, err := t.client.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
		var absent *serviceerror.NamespaceNotFound
		switch {
		case errors.As(err, &absent):
			return nil // namespaceExists reports it
		case errors.As(err, new(*serviceerror.NotFound)):
			missing = append(missing, id)
		case err != nil:
			return []finding{fail(check, exit.FaultOf(exit.Temporal(err)))}
		case described.Schedule.State.Paused:
			paused = append(paused, id)
		}
	}
	switch {
	case len(missing) > 0:
		f := fault.New(fault.NotFound, "Temporal has no schedule %s", strings.Join(missing, ", "))
		return []finding{fail(check, f.WithHint("a control worker makes it within a minute: mcp worker --control"))}
	case len(paused) > 0:
		return []finding{warn(check, "resume it: temporal schedule toggle --unpause --schedule-id "+paused[0], "paused: %s", strings.Join(paused, ", "))}
	}
	return []finding{ok(check, "%s are there", strings.Join(tend.Schedules(), ", "))}
}
