package oncontrol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// JobSchedule is when Temporal starts runs of a job.
type JobSchedule struct {
	Service string
	Job     servicedef.Component
	// PausedBy is who has paused it; "" if it is not paused.
	PausedBy string
}

// JobKey names a job in the fleet.
type JobKey struct{ Service, Job string }

// Schedules is what Control needs of Temporal's schedules. Each method may be called twice.
type Schedules interface {
	// Keep makes the schedule of a job, or updates it. One that is as it should be is
	// not changed.
	Keep(ctx context.Context, s JobSchedule) error
	// Drop deletes the schedule of a job. One that is missing is not an error.
	Drop(ctx context.Context, job JobKey) error
	// Jobs lists the schedules of the jobs of a service; of all if it is "".
	Jobs(ctx context.Context, service string) ([]JobKey, error)
	// Cancel requests the end of a run of a workflow. One that has ended is not an error.
	Cancel(ctx context.Context, workflowID, runID string) error
}

// KeepJobsInput names a service.
type KeepJobsInput struct {
	Service string `json:"service"`
}

// KeepJobs makes the schedules of a service's jobs those of its release: one for each job
// that is due by itself, and none for a service that is stopped.
func (a *Control) KeepJobs(ctx context.Context, in KeepJobsInput) error {
	release, err := a.Registry.Release(ctx, in.Service)
	if err != nil {
		return err
	}
	return a.keepJobs(ctx, in.Service, []fleet.Release{release})
}

// KeepAllJobs is KeepJobs for all services. It does what it can.
func (a *Control) KeepAllJobs(ctx context.Context) error {
	services, err := a.Registry.Services(ctx, nil)
	if err != nil {
		return err
	}
	return a.keepJobs(ctx, "", fleet.Releases(services))
}

func (a *Control) keepJobs(ctx context.Context, service string, releases []fleet.Release) error {
	var failed []error
	wanted := map[JobKey]bool{}
	for _, r := range releases {
		if r.Definition == nil || !r.Active {
			continue
		}
		for _, c := range r.Definition.Jobs() {
			job, released := r.Jobs[c.Name]
			if !released || c.Schedule == servicedef.Manual {
				continue
			}
			wanted[JobKey{r.Service, c.Name}] = true
			if err := a.Schedules.Keep(ctx, JobSchedule{Service: r.Service, Job: c, PausedBy: job.PausedBy}); err != nil {
				failed = append(failed, err)
			}
		}
	}
	kept, err := a.Schedules.Jobs(ctx, service)
	if err != nil {
		return errors.Join(append(failed, err)...)
	}
	for _, job := range kept {
		if !wanted[job] {
			failed = append(failed, a.Schedules.Drop(ctx, job))
		}
	}
	return errors.Join(failed...)
}

// BeginRun opens a run of a job. A run that is recorded as under way but whose workflow was
// ended in Temporal does not keep another from beginning.
func (a *Control) BeginRun(ctx context.Context, in fleet.RunRequest) (fleet.RunBegun, error) {
	begun, err := a.Registry.BeginRun(ctx, in)
	if err != nil || begun.Other == nil {
		return begun, err
	}
	if lost, err := a.closeLostRuns(ctx, []fleet.JobRun{*begun.Other}); err != nil || !lost {
		return begun, err
	}
	return a.Registry.BeginRun(ctx, in)
}

// closeLostRuns closes the runs whose workflow is closed, and reports whether there was
// one.
func (a *Control) closeLostRuns(ctx context.Context, runs []fleet.JobRun) (lost bool, err error) {
	for _, run := range runs {
		open, err := a.Lock.Open(ctx, run.WorkflowID, run.RunID)
		if err != nil {
			return lost, err
		}
		if open {
			continue
		}
		lost = true
		if err := a.Registry.EndRun(ctx, fleet.RunEnd{
			RunID: run.RunID, Outcome: fleet.RunLost, Detail: "its workflow was ended in Temporal", Attempts: run.Attempts,
			Destinations: a.destinations(),
		}); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// SkipRunInput is a run that is left out.
type SkipRunInput struct {
	fleet.RunRequest
	Release int    `json:"release"`
	Node    string `json:"node"`
	Detail  string `json:"detail"`
	Keep    int    `json:"keep"`
}

// SkipRun records that a run was left out because another one was under way.
func (a *Control) SkipRun(ctx context.Context, in SkipRunInput) error {
	return a.Registry.SkipRun(ctx, in.RunRequest, in.Release, in.Node, in.Detail, in.Keep)
}

// RecordAttemptInput is an attempt of a run.
type RecordAttemptInput struct {
	RunID     string `json:"run_id"`
	Container string `json:"container"`
	Attempts  int    `json:"attempts"`
}

// RecordAttempt records that an attempt of a run begins.
func (a *Control) RecordAttempt(ctx context.Context, in RecordAttemptInput) error {
	return a.Registry.RecordAttempt(ctx, in.RunID, in.Container, in.Attempts)
}

// EndRunResult is what follows from the end of a run.
type EndRunResult struct {
	// Alerting are the destinations that have yet to get alerts.
	Alerting []string `json:"alerting,omitempty"`
}

// EndRun records how a run has ended.
func (a *Control) EndRun(ctx context.Context, in fleet.RunEnd) (EndRunResult, error) {
	in.Destinations = a.destinations()
	if err := a.Registry.EndRun(ctx, in); err != nil || len(a.Alerts) == 0 {
		return EndRunResult{}, err
	}
	alerting, err := a.Registry.Alerting(ctx, tooLate)
	return EndRunResult{Alerting: alerting}, err
}

// EndRunsInput names a service that no longer runs, and how long to wait.
type EndRunsInput struct {
	Service string        `json:"service"`
	Wait    time.Duration `json:"wait"`
}

// endPause is the time between two checks of runs that end.
const endPause = 250 * time.Millisecond

// EndRuns cancels the runs of a service's jobs, and waits until they have ended.
func (a *Control) EndRuns(ctx context.Context, in EndRunsInput) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		attempt.Allow(ctx, in.Wait)
		return struct{}{}, a.endRuns(ctx, r, in)
	})
	return err
}

func (a *Control) endRuns(ctx context.Context, r *attempt.Reporter, in EndRunsInput) error {
	cancelled := map[string]fleet.JobRun{}
	for until := time.Now().Add(in.Wait); ; {
		runs, err := a.openRuns(ctx, in.Service)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if _, done := cancelled[run.RunID]; done {
				continue
			}
			if err := a.Schedules.Cancel(ctx, run.WorkflowID, run.RunID); err != nil {
				return err
			}
			cancelled[run.RunID] = run
		}
		// One that is recorded as ended may still have a container to remove.
		for id, run := range cancelled {
			open, err := a.Lock.Open(ctx, run.WorkflowID, run.RunID)
			if err != nil {
				return err
			}
			if !open {
				delete(cancelled, id)
			} else if len(runs) == 0 {
				runs = []fleet.JobRun{run}
			}
		}
		if len(runs) == 0 {
			return nil
		}
		r.Set("end", fmt.Sprintf("run %d of %s", runs[0].Number, runs[0].Name()))
		if time.Now().After(until) {
			f := fault.New(fault.Conflict, "run %d of %s has not ended within %s; it ends when node %s answers",
				runs[0].Number, runs[0].Name(), in.Wait, runs[0].Node)
			f.Node = runs[0].Node
			return f
		}
		if err := attempt.Sleep(ctx, endPause); err != nil {
			return err
		}
	}
}

// openRuns lists the runs that are under way.
func (a *Control) openRuns(ctx context.Context, service string) ([]fleet.JobRun, error) {
	runs, err := a.Registry.OpenJobRuns(ctx, service)
	if err != nil {
		return nil, err
	}
	lost, err := a.closeLostRuns(ctx, runs)
	if err != nil || !lost {
		return runs, err
	}
	return a.Registry.OpenJobRuns(ctx, service)
}

// ListJobsInput selects services.
type ListJobsInput struct {
	// Services selects by name; empty means all.
	Services []string `json:"services,omitempty"`
}

// ListJobs reads jobs with their last runs.
func (a *Control) ListJobs(ctx context.Context, in ListJobsInput) ([]fleet.JobState, error) {
	if _, err := a.openRuns(ctx, ""); err != nil {
		return nil, err
	}
	return a.Registry.JobStates(ctx, in.Services)
}

// ListRunsInput selects runs of a job.
type ListRunsInput struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
	// Bare leaves out what they have printed.
	Bare bool `json:"bare,omitempty"`
}

// ListRuns reads the runs of a job, newest first.
func (a *Control) ListRuns(ctx context.Context, in ListRunsInput) ([]fleet.JobRun, error) {
	if _, err := a.openRuns(ctx, in.Service); err != nil {
		return nil, err
	}
	runs, err := a.Registry.JobRuns(ctx, in.Service, in.Job, in.Limit)
	for i := range runs {
		if in.Bare {
			runs[i].Log = nil
		}
	}
	return runs, err
}

// PauseJobInput names a job, and who pauses it.
type PauseJobInput struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// By is who pauses it; "" resumes it.
	By string `json:"by,omitempty"`
}

// PauseJob pauses the schedule of a job, or resumes it.
func (a *Control) PauseJob(ctx context.Context, in PauseJobInput) error {
	if err := a.Registry.PauseJob(ctx, in.Service, in.Job, in.By); err != nil {
		return err
	}
	return a.KeepJobs(ctx, KeepJobsInput{Service: in.Service})
}
