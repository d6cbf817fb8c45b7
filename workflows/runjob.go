package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/envelopes"
	"github.com/metacircular/mcp/workflows/tend"
)

// RunJobInput names a job to run once.
type RunJobInput struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// Command replaces the job's own; empty keeps it.
	Command []string `json:"command,omitempty"`
	// Due is when it is due; zero for the time for which its schedule has started it, or
	// for now.
	Due time.Time `json:"due,omitzero"`
	// Who asked for it, and from which machine; "" for the schedule.
	Who  string `json:"who,omitempty"`
	From string `json:"from,omitempty"`
	// Schedule identifies what the schedule was made from.
	Schedule string `json:"schedule,omitempty"`
}

// scheduledFor is the search attribute with which Temporal marks the runs of schedules.
var scheduledFor = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

const (
	// startPatience is how long the node of a run that was asked for has to take it, and
	// latePatience how long it has at least if the run begins at the end of its catch_up.
	startPatience = time.Minute
	latePatience  = 5 * time.Second
	// A run that waits for another one checks again after runPause at first, and every
	// longestRunPause in the end.
	runPause, longestRunPause = time.Second, 30 * time.Second
)

// RunJob runs a job once, with the definition of the release at that moment. A deploy
// neither ends it nor waits for it.
func RunJob(ctx workflow.Context, in RunJobInput) (*fleet.JobRun, error) {
	r := newJobRun(ctx, in)
	err := r.begin(ctx)
	if err != nil || r.run == nil {
		return nil, err
	}
	return r.finish(ctx, r.attempts(ctx))
}

// jobRun is the state of one RunJob.
type jobRun struct {
	RunJobInput
	request fleet.RunRequest
	begun   fleet.RunBegun
	// run is nil if there is none: it was skipped, or the release has no such job.
	run *fleet.JobRun
	// last is the last attempt, how it has ended, and what is to be removed of it.
	last   onnode.TaskSpec
	result fleet.TaskResult
	// attempted is how many attempts were made.
	attempted int
}

func newJobRun(ctx workflow.Context, in RunJobInput) *jobRun {
	if in.Due.IsZero() {
		in.Due = workflow.Now(ctx)
		if due, scheduled := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledFor); scheduled {
			in.Due = due
		}
	}
	info := workflow.GetInfo(ctx)
	return &jobRun{RunJobInput: in, request: fleet.RunRequest{
		Service: in.Service, Job: in.Job, Command: in.Command, Due: in.Due, Who: in.Who, From: in.From,
		WorkflowID: info.WorkflowExecution.ID, RunID: cmp.Or(info.OriginalRunID, info.WorkflowExecution.RunID),
	}}
}

func (r *jobRun) name() string { return r.Service + "/" + r.Job }

// asked reports whether a person has asked for the run, and hears of it.
func (r *jobRun) asked() bool { return r.Who != "" }

// begin opens the run. While another one is under way it is left out, waits, or ends the
// other one, as the job's overlap says.
func (r *jobRun) begin(ctx workflow.Context) error {
	ended := false
	for pause := runPause; ; pause = min(2*pause, longestRunPause) {
		begun, err := call.Control(ctx, "open a run of "+r.name(), 0, control.BeginRun, r.request)
		if err != nil {
			return err
		}
		r.begun = begun
		other := begun.Other
		switch {
		case begun.Refused != "" && r.asked():
			return failed(fault.New(fault.NotFound, "%s", begun.Refused).WithHint("list the jobs: mcp jobs %s", r.Service))
		case begun.Refused != "":
			return nil // the schedule is about to go
		case begun.Run != nil:
			r.run = begun.Run
			return nil
		case begun.Job.Overlap == servicedef.OverlapSkip:
			return r.skip(ctx, *other)
		case begun.Job.Overlap == servicedef.OverlapReplace && !ended:
			ended = true
			_ = workflow.RequestCancelExternalWorkflow(ctx, other.WorkflowID, other.RunID).Get(ctx, nil) // one that has ended is as good
		}
		if err := workflow.Sleep(ctx, pause); err != nil {
			return err
		}
		if call.Spent(ctx) {
			return workflow.NewContinueAsNewError(ctx, RunJobName, r.RunJobInput)
		}
	}
}

// skip leaves the run out.
func (r *jobRun) skip(ctx workflow.Context, other fleet.JobRun) error {
	if r.asked() {
		f := fault.New(fault.Conflict, "run %d of %s has been under way since %s", other.Number, r.name(), other.Started.UTC().Format(time.DateTime)).
			WithHint("follow it: mcp job logs -f %s; end it: mcp job cancel %s", r.name(), r.name())
		f.Node = other.Node
		return failed(f)
	}
	return call.ControlSend(ctx, "skip a run of "+r.name(), 0, control.SkipRun, oncontrol.SkipRunInput{
		RunRequest: r.request, Release: other.Release, Node: r.begun.Job.Node,
		Detail: fmt.Sprintf("run %d was under way", other.Number), Keep: r.begun.Job.Keep,
	})
}

func failed(f *fault.Error) error { return failure(Failed, f, struct{}{}) }

// attempts runs the job until an attempt succeeds, or none is left. Its result is in r.
func (r *jobRun) attempts(ctx workflow.Context) fleet.RunOutcome {
	deadline := r.Due.Add(time.Duration(r.begun.Job.CatchUp))
	if now := workflow.Now(ctx); now.After(deadline) && !r.asked() {
		r.result.Detail = fmt.Sprintf("was due at %s, and could not begin before %s", r.Due.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime))
		return fleet.RunMissed
	}
	if r.begun.Draining {
		r.result.Detail = "node " + r.run.Node + " is draining"
		return fleet.RunMissed
	}
	outcome := fleet.RunFailed
	for range 1 + r.begun.Job.Retries {
		if r.attempted > 0 {
			r.remove(ctx)
			// An attempt after one that has failed is late through no fault of the node.
			deadline = workflow.Now(ctx).Add(time.Duration(r.begun.Job.CatchUp))
		}
		latest := workflow.Now(ctx).Add(startPatience)
		if !r.asked() {
			if latest = workflow.Now(ctx).Add(latePatience); latest.Before(deadline) {
				latest = deadline
			}
		}
		var started bool
		outcome, started = r.attempt(ctx, latest.Sub(workflow.Now(ctx)))
		switch {
		case ctx.Err() != nil:
			return fleet.RunCancelled
		case outcome == fleet.RunSucceeded, !started:
			return outcome
		}
	}
	return outcome
}

// attempt runs the job once. Started is false if its node has not taken it in time.
func (r *jobRun) attempt(ctx workflow.Context, patience time.Duration) (outcome fleet.RunOutcome, started bool) {
	r.attempted++
	r.last, r.result = r.task(), fleet.TaskResult{}
	record := oncontrol.RecordAttemptInput{RunID: r.request.RunID, Container: r.last.Container(), Attempts: r.attempted}
	if err := call.ControlSend(ctx, fmt.Sprintf("attempt %d", r.attempted), 0, control.RecordAttempt, record); err != nil {
		return r.broken(err), true
	}
	sealed, err := envelopes.Fill(ctx, r.last, 0)
	if err != nil {
		return r.broken(err), true
	}
	start := workflow.WithScheduleToStartTimeout(call.NodeStep(ctx, r.run.Node, "start "+r.Job+" on "+r.run.Node, patience+DefaultDeadline), patience)
	err = workflow.ExecuteActivity(start, node.StartTask, sealed).Get(ctx, nil)
	if err == nil {
		await := call.NodeStep(ctx, r.run.Node, "run "+r.Job+" on "+r.run.Node, taskTime(r.last)+undoTimeout)
		err = workflow.ExecuteActivity(await, node.AwaitTask, r.last).Get(ctx, &r.result)
		r.result = r.result.Checked()
	} else if neverTaken(err) && ctx.Err() == nil {
		r.result = fleet.TaskResult{Detail: fmt.Sprintf("node %s did not take it within %s", r.run.Node, patience.Round(time.Second))}
		return fleet.RunMissed, false
	}
	if err != nil {
		r.end(ctx, err)
	}
	if r.result.State == fleet.TaskSucceeded {
		return fleet.RunSucceeded, true
	}
	return fleet.RunFailed, true
}

// neverTaken reports whether no worker has ever begun an activity.
func neverTaken(err error) bool {
	var timeout *temporal.TimeoutError
	return call.IsUntaken(err) && errors.As(err, &timeout) && timeout.Unwrap() == nil
}

// broken returns a failure of mcp itself as the result of an attempt.
func (r *jobRun) broken(err error) fleet.RunOutcome {
	f := attempt.FaultOf(call.NodeFault(err, r.run.Node))
	r.result = fleet.TaskResult{State: fleet.TaskLost, Detail: f.Message, Log: f.Log}
	return fleet.RunFailed
}

// end ends an attempt that was cancelled, or whose end is not known, so that none runs
// beside the next one.
func (r *jobRun) end(ctx workflow.Context, cause error) {
	r.broken(cause)
	detached, _ := workflow.NewDisconnectedContext(ctx)
	result, err := endTask(detached, r.run.Node, r.last)
	switch {
	case err != nil:
		r.result.Detail += "; it may go on: " + attempt.FaultOf(call.NodeFault(err, r.run.Node)).Message
	case ctx.Err() != nil || result.State != fleet.TaskStopped:
		r.result = result
	}
}

// task is the next attempt as the node gets it.
func (r *jobRun) task() onnode.TaskSpec {
	c := r.begun.Job.ForNode()
	if len(r.Command) > 0 {
		c.Cmd = r.Command
	}
	return onnode.TaskSpec{
		Task: fleet.RunTask(r.request.RunID, r.attempted, r.Job),
		Component: activities.ComponentSpec{
			Service: r.Service, Deployment: r.run.Release, Run: r.begun.ReleaseRun, Definition: c, Image: r.begun.Image,
			Spec: plan.SpecHash(c, servicedef.DigestOf(r.begun.Image)),
		},
		Timeout: r.begun.Job.Timeout,
	}
}

// finish records how the run has ended, and removes its container.
func (r *jobRun) finish(ctx workflow.Context, outcome fleet.RunOutcome) (*fleet.JobRun, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := workflow.UpsertTypedSearchAttributes(ctx, SearchOutcome.ValueSet(string(outcome))); err != nil {
		workflow.GetLogger(ctx).Warn("outcome is not searchable", "error", err)
	}
	ended, err := call.Control(ctx, "write the outcome: "+string(outcome), 0, control.EndRun, fleet.RunEnd{
		RunID: r.request.RunID, Outcome: outcome, ExitCode: r.result.ExitCode, Detail: r.result.Detail, Attempts: r.attempted,
		Container: r.last.Container(), Started: r.result.Started, Log: r.result.Log, Lines: r.result.Lines, Keep: r.begun.Job.Keep,
	})
	if err != nil {
		return nil, err
	}
	if err := tend.StartAlerts(ctx, ended.Alerting); err != nil {
		workflow.GetLogger(ctx).Error("alerts are not started", "error", err)
	}
	count(ctx, MetricJobRuns, map[string]string{LabelOutcome: string(outcome)})
	if r.attempted > 0 {
		r.remove(ctx)
	}
	run := *r.run
	run.Outcome, run.ExitCode, run.Detail, run.Attempts, run.Log, run.Lines = outcome, r.result.ExitCode, r.result.Detail, r.attempted, r.result.Log, r.result.Lines
	run.Container, run.Ended = r.last.Container(), workflow.Now(ctx)
	return r.answer(run)
}

// answer is the result of the workflow: one that has not succeeded is a failure, with the
// run in it.
func (r *jobRun) answer(run fleet.JobRun) (*fleet.JobRun, error) {
	if run.Outcome == fleet.RunSucceeded {
		return &run, nil
	}
	f := fault.New(fault.Unhealthy, "run %d of %s %s: %s", run.Number, r.name(), run.Outcome, run.Detail)
	if run.Outcome == fleet.RunMissed {
		f.Kind = fault.Unavailable
	}
	f.Node, f.Component, f.Log = run.Node, run.Job, run.Log
	outcome := Failed
	if run.Outcome == fleet.RunCancelled {
		outcome = Cancelled
	}
	return nil, failure(outcome, f, run)
}

// remove removes the container of the last attempt. If its node does not answer, a
// workflow does that when the node is back.
func (r *jobRun) remove(ctx workflow.Context) {
	if r.result.State == "" || removeTask(ctx, r.run.Node, r.last) == nil {
		return
	}
	err := call.StartDetached(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: RemoveTaskID(r.last.ID), StaticSummary: "remove " + r.last.Container() + " from " + r.run.Node,
		TypedSearchAttributes: temporal.NewSearchAttributes(SearchService.ValueSet(r.Service), SearchNode.ValueSet([]string{r.run.Node})),
	}, RemoveTaskName, RemoveTaskInput{Node: r.run.Node, Task: r.last})
	if err != nil {
		workflow.GetLogger(ctx).Error("the container of a run stays", "container", r.last.Container(), "error", err)
	}
}

// RemoveTaskInput names a task whose node did not answer.
type RemoveTaskInput struct {
	Node string          `json:"node"`
	Task onnode.TaskSpec `json:"task"`
}

// absentNode is how long a node may be away before nothing is removed from it any more.
const absentNode = 90 * 24 * time.Hour

// RemoveTask ends a task when its node is back, and removes its container.
func RemoveTask(ctx workflow.Context, in RemoveTaskInput) error {
	step := workflow.WithScheduleToStartTimeout(call.UnboundedStep(ctx, in.Node, "wait for "+in.Node), absentNode)
	if err := workflow.ExecuteActivity(step, node.StopTask, in.Task).Get(ctx, nil); err != nil {
		return err
	}
	return workflow.ExecuteActivity(step, node.RemoveTask, in.Task).Get(ctx, nil)
}
