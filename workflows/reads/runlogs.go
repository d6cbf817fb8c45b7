package reads

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// runLogs reads the output of the last run of a step or a job; nil if the name is that of
// neither, or of a component of the release. The steps of a deployment that has never
// become the release are among them.
func runLogs(ctx workflow.Context, release fleet.Release, in LogsInput) (*LogsResult, error) {
	if _, lasting := release.Components[in.Component]; in.Component == "" || lasting || release.Newest == 0 {
		return nil, nil
	}
	find := lastStep
	if _, job := release.Jobs[in.Component]; job {
		find = lastJobRun
	}
	run, err := find(ctx, in)
	if run == nil && err == nil && slices.Contains(release.StepNames(), in.Component) {
		return nil, fault.New(fault.NotFound, "step %s of service %s has never run", in.Component, in.Service).
			WithHint("a deploy runs it: mcp deploy %s", in.Service)
	}
	if err != nil || run == nil {
		return nil, err
	}
	logs, err := run.read(ctx, in)
	if err != nil {
		return nil, err
	}
	return &LogsResult{Components: release.MemberNames(), Logs: []ComponentLogs{logs}, Run: run}, nil
}

// lastStep returns the last run of a step; nil if there is none.
func lastStep(ctx workflow.Context, in LogsInput) (*LoggedRun, error) {
	query := fleet.TaskQuery{Service: in.Service, Kind: fleet.StepTask, Name: in.Component, Limit: 1, Bare: in.Where && !in.Recorded}
	records, err := call.Control(ctx, "list the runs of "+in.Component, call.ReadTimeout, control.Tasks, query)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	r := records[0]
	return &LoggedRun{
		Kind: r.Kind, Deployment: r.Deployment, State: string(r.State), Detail: r.Detail, Ended: r.Ended,
		Task: r.Task, node: r.Node, container: r.Container, log: r.Log,
	}, nil
}

// lastJobRun returns the last run of a job that has had a container.
func lastJobRun(ctx workflow.Context, in LogsInput) (*LoggedRun, error) {
	runs, err := call.Control(ctx, "list runs", call.ReadTimeout, control.ListRuns, oncontrol.ListRunsInput{
		Service: in.Service, Job: in.Component, Bare: in.Where && !in.Recorded,
	})
	if err != nil {
		return nil, err
	}
	r, err := chooseRun(runs, JobLogsInput{Service: in.Service, Job: in.Component})
	if err != nil {
		return nil, err
	}
	return &LoggedRun{
		Kind: fleet.JobTask, Deployment: r.Release, Number: r.Number, State: r.State(), Detail: r.Detail, Ended: r.Ended,
		Task: r.Task(), node: r.Node, container: r.Container, log: r.Log,
	}, nil
}

// read reads the last lines of a run from its node, or those that were recorded.
func (r *LoggedRun) read(ctx workflow.Context, in LogsInput) (ComponentLogs, error) {
	logs := ComponentLogs{Node: r.node}
	logs.Component, logs.Container = in.Component, r.container
	if in.Where {
		if in.Recorded {
			logs.Lines, r.Recorded = recordedLines(r.log), len(r.log) > 0
		}
		return logs, nil
	}
	var found onnode.TaskLogResult
	var err error
	if r.container != "" {
		step := call.LogsStep(ctx, r.node, "read the output of "+r.container, 0)
		err = call.NodeFault(workflow.ExecuteActivity(step, node.TaskLog, onnode.TaskLogInput{
			Service: in.Service, Task: r.Task, Lines: in.Lines, Bytes: maxAnswer,
		}).Get(ctx, &found), r.node)
	}
	switch {
	case call.IsCancelled(err):
		return logs, err
	case err != nil && len(r.log) == 0:
		logs.Error = attempt.FaultOf(err)
	case err != nil || found.Absent:
		logs.Lines, r.Recorded = recordedLines(r.log), len(r.log) > 0
	default:
		logs.Lines, logs.Cut = found.Lines, found.Cut
	}
	if oldest := workflow.Now(ctx).Add(-in.Since); in.Since > 0 && !r.Recorded {
		logs.Lines = slices.DeleteFunc(logs.Lines, func(l LogLine) bool { return l.Time.Before(oldest) })
	}
	return logs, nil
}

// recordedLines are lines of which only the texts are known.
func recordedLines(texts []string) (lines []LogLine) {
	for _, text := range texts {
		var line LogLine
		line.Text = text
		lines = append(lines, line)
	}
	return lines
}
