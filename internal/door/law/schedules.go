package law

import (
	"context"
	"slices"
	"strings"

	"go.temporal.io/api/operatorservice/v1"
	schedule "go.temporal.io/api/schedule/v1"
	temporalsdk "go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// scheduled are the fields of a schedule that control workers make.
func scheduled(more ...string) *fields {
	return only(append(more,
		"namespace", "schedule_id", "identity", "schedule.spec.*", "schedule.policies.*", "schedule.state.*",
		"schedule.action.start_workflow.workflow_id", "schedule.action.start_workflow.workflow_type.*",
		"schedule.action.start_workflow.task_queue.*", "schedule.action.start_workflow.input.*",
		"schedule.action.start_workflow.workflow_execution_timeout.*", "schedule.action.start_workflow.workflow_run_timeout.*",
		"schedule.action.start_workflow.workflow_task_timeout.*", "schedule.action.start_workflow.search_attributes.*",
		"schedule.action.start_workflow.memo.*", "schedule.action.start_workflow.header.*",
		"schedule.action.start_workflow.user_metadata.*", "memo.*", "search_attributes.*")...)
}

// scheduling is a request with a schedule.
type scheduling interface {
	GetScheduleId() string
	GetSchedule() *schedule.Schedule
}

// schedules judges a schedule: one of mcp's, which starts mcp's own workflows.
func schedules(ctx context.Context, c *call) error {
	if err := ownSchedule(ctx, c); err != nil {
		return err
	}
	action := c.req.(scheduling).GetSchedule().GetAction().GetStartWorkflow()
	if action == nil {
		return nil
	}
	id, kind := c.req.(interface{ GetScheduleId() string }).GetScheduleId(), action.GetWorkflowType().GetName()
	switch {
	case action.GetTaskQueue().GetName() != workflows.Queue:
		return c.refused(ForeignQueue, "schedules start workflows on the queue %s alone", workflows.Queue)
	case action.GetWorkflowId() != id:
		return c.refused(ForeignWorkflow, "the schedule %.120q does not start workflow %.120q", id, action.GetWorkflowId())
	case kind == workflows.RunJobName && strings.HasPrefix(id, "job/"), kind == tend.MonitorName && id == tend.MonitorID,
		kind == tend.RetentionName && id == tend.RetentionID:
		return nil
	}
	return c.refused(NotPermitted, "the schedule %.120q does not start a %.80q", id, kind)
}

func ownSchedule(_ context.Context, c *call) error {
	id := c.req.(interface{ GetScheduleId() string }).GetScheduleId()
	if _, _, isJob := workflows.JobOf(id); isJob || slices.Contains(tend.Schedules(), id) {
		return nil
	}
	return c.refused(ForeignWorkflow, "the schedule %.120q is not one of mcp's", id)
}

// searchAttributes permits mcp's search attributes.
func searchAttributes(_ context.Context, c *call) error {
	for name := range c.req.(*operatorservice.AddSearchAttributesRequest).GetSearchAttributes() {
		if !slices.ContainsFunc(workflows.SearchAttributes(), named(name)) {
			return c.refused(ForbiddenField, "the search attribute %.80q is not one of mcp's", name)
		}
	}
	return nil
}

func named(name string) func(temporalsdk.SearchAttributeKey) bool {
	return func(key temporalsdk.SearchAttributeKey) bool { return key.GetName() == name }
}
