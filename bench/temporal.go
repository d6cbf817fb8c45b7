package main

import (
	"context"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/tend"
)

// observe observes a node once, as the monitor's schedule does every 30 seconds.
func (s *site) observe(ctx context.Context, n *node) (client.WorkflowRun, error) {
	run, err := s.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: workflows.Queue}, tend.MonitorNodeName, n.name)
	if err == nil {
		err = run.Get(ctx, nil)
	}
	return run, err
}

// eachEvent calls visit for each event of a run.
func (s *site) eachEvent(ctx context.Context, run client.WorkflowRun, visit func(kind enums.EventType)) error {
	events := s.temporal.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return err
		}
		visit(event.GetEventType())
	}
	return nil
}

// pauseMonitor pauses the monitor, which queries Postgres at regular intervals;
// resume resumes it.
func (s *site) pauseMonitor(ctx context.Context) (resume func() error, err error) {
	schedule := s.temporal.ScheduleClient().GetHandle(ctx, tend.MonitorID)
	resume = func() error { return schedule.Unpause(ctx, client.ScheduleUnpauseOptions{}) }
	return resume, schedule.Pause(ctx, client.SchedulePauseOptions{})
}
