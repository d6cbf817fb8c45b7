package reads

import (
	"cmp"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// JobLogsInput asks for the output of a run.
type JobLogsInput struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// Number is that of the run; 0 for the newest that has printed anything.
	Number int `json:"number,omitempty"`
	// RunID is that of its workflow, if its number is not known.
	RunID string `json:"run_id,omitempty"`
	// Attempt is one of its attempts, counted from 1; 0 for the last.
	Attempt int `json:"attempt,omitempty"`
	// Lines is the number of last lines wanted; 0 for new lines only.
	Lines int `json:"lines"`
	// Wait asks instead for what a run that is under way prints after the Marks, and is
	// how long to wait for it.
	Wait  time.Duration `json:"wait,omitempty"`
	Marks LogMarks      `json:"marks,omitempty"`
	// Where asks only for the run: no node is asked for lines. Recorded also asks for those
	// that were recorded with its end.
	Where    bool `json:"where,omitempty"`
	Recorded bool `json:"recorded,omitempty"`
}

// JobLogsResult is the output of a run.
type JobLogsResult struct {
	Run fleet.JobRun `json:"run"`
	// Attempt is the one that has printed the lines.
	Attempt int       `json:"attempt,omitempty"`
	Lines   []LogLine `json:"lines,omitempty"`
	// Marks are where to go on reading, for a run under way.
	Marks LogMarks `json:"marks,omitempty"`
	// Cut is set if the first of the lines are left out.
	Cut bool `json:"cut,omitempty"`
	// Absent is set if the node has no output of it, and the lines are those that
	// were recorded with its end.
	Absent bool `json:"absent,omitempty"`
}

// JobLogs reads the output of a run of a job.
func JobLogs(ctx workflow.Context, in JobLogsInput) (*JobLogsResult, error) {
	runs, err := call.Control(ctx, "list runs", call.ReadTimeout, control.ListRuns, oncontrol.ListRunsInput{
		Service: in.Service, Job: in.Job, Bare: in.Where && !in.Recorded,
	})
	if err != nil {
		return nil, call.Failure(err)
	}
	run, err := chooseRun(runs, in)
	if err != nil {
		return nil, call.Failure(err)
	}
	result := &JobLogsResult{Run: run, Attempt: cmp.Or(in.Attempt, run.Attempts)}
	switch {
	case in.Where:
		result.Absent = true
	case in.Wait > 0 && run.Outcome == "" && run.Container != "":
		err = result.follow(ctx, in)
	default:
		err = result.read(ctx, in)
	}
	if call.IsCancelled(err) {
		return nil, err
	}
	if err != nil {
		return nil, call.Failure(err)
	}
	return result, nil
}

// chooseRun returns the run that is asked for.
func chooseRun(runs []fleet.JobRun, in JobLogsInput) (fleet.JobRun, error) {
	name := in.Service + "/" + in.Job
	for _, run := range runs {
		newest := in.Number == 0 && in.RunID == "" && run.Container != ""
		if newest || run.Number == in.Number || in.RunID != "" && run.RunID == in.RunID {
			return run, nil
		}
	}
	switch {
	case in.RunID != "":
		return fleet.JobRun{}, fault.New(fault.NotFound, "%s has no such run", name)
	case in.Number != 0:
		return fleet.JobRun{}, fault.New(fault.NotFound, "%s has no run %d: its last ones are kept alone", name, in.Number).
			WithHint("list them: mcp job history %s", name)
	case len(runs) > 0:
		return runs[0], nil
	}
	return fleet.JobRun{}, fault.New(fault.NotFound, "%s has never run", name).WithHint("run it now: mcp run %s", name)
}

// follow waits for new lines of a run that is under way.
func (r *JobLogsResult) follow(ctx workflow.Context, in JobLogsInput) error {
	var found onnode.LogsResult
	step := call.LogsStep(ctx, r.Run.Node, "read the output of "+r.Run.Container, in.Wait)
	err := workflow.ExecuteActivity(step, node.ContainerLogs, onnode.LogsInput{
		Sources: []onnode.LogSource{{Component: in.Job, Container: r.Run.Container, Marks: in.Marks}}, Wait: in.Wait, Bytes: maxAnswer,
	}).Get(ctx, &found)
	if err != nil {
		return call.NodeFault(err, r.Run.Node)
	}
	for _, s := range found.Sources {
		r.Lines, r.Marks, r.Cut = s.Lines, s.Marks, s.Cut
	}
	return nil
}

// read reads the last lines of a run from its node, or those that were recorded.
func (r *JobLogsResult) read(ctx workflow.Context, in JobLogsInput) error {
	r.Absent = true
	if r.Run.Container == "" {
		return nil
	}
	var found onnode.TaskLogResult
	err := workflow.ExecuteActivity(call.LogsStep(ctx, r.Run.Node, "read the output of "+r.Run.Container, 0), node.TaskLog, onnode.TaskLogInput{
		Service: in.Service, Task: fleet.RunTask(r.Run.RunID, r.Attempt, r.Run.Job), Lines: in.Lines, Bytes: maxAnswer,
	}).Get(ctx, &found)
	if call.IsCancelled(err) {
		return err
	}
	if err == nil && !found.Absent {
		r.Lines, r.Cut, r.Absent = found.Lines, found.Cut, false
		return nil
	}
	if r.Run.Outcome == "" {
		return call.NodeFault(err, r.Run.Node)
	}
	return nil // the last lines are in the run
}
