package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// commitJobs records the jobs of a release. Those that no longer belong to it keep their
// runs and their pause; commitService marks them.
func commitJobs(ctx context.Context, tx pgx.Tx, service string, jobs []fleet.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, job := range jobs {
		batch.Queue(`
			insert into jobs (service, name, image, digest, released) values ($1, $2, $3, $4, true)
			on conflict (service, name) do update set image = excluded.image, digest = excluded.digest, released = true`,
			service, job.Name, job.Image, job.Digest)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// jobNames returns the names of jobs.
func jobNames(jobs []fleet.Job) []string {
	names := []string{}
	for _, job := range jobs {
		names = append(names, job.Name)
	}
	return names
}

// timeOf returns a time, zero for null.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// BeginRun opens a run of a job with the definition of the release at this moment. There
// is none if another run is under way, or if the release has no such job. A
// repeated call returns the run that it has opened.
func (s *Store) BeginRun(ctx context.Context, r fleet.RunRequest) (fleet.RunBegun, error) {
	var begun fleet.RunBegun
	err := s.write(ctx, func(tx pgx.Tx) (err error) {
		begun, err = beginRun(ctx, tx, r)
		return err
	}, "open a run of %s/%s", r.Service, r.Job)
	return begun, err
}

func beginRun(ctx context.Context, tx pgx.Tx, r fleet.RunRequest) (begun fleet.RunBegun, err error) {
	// Runs of one job are opened one after the other.
	_, err = tx.Exec(ctx, `select from jobs where service = $1 and name = $2 for update`, r.Service, r.Job)
	if err != nil {
		return begun, err
	}
	records, err := loadServices(ctx, tx, []string{r.Service})
	if err != nil {
		return begun, err
	}
	if len(records) == 0 {
		begun.Refused = "service " + r.Service + " has never been deployed"
		return begun, nil
	}
	release := records[0].Release
	job, released := release.Jobs[r.Job]
	switch {
	case !released:
		begun.Refused = "the release of service " + r.Service + " has no job " + r.Job
	case !release.Active:
		begun.Refused = "service " + r.Service + " is stopped"
	case release.Definition == nil:
		begun.Refused = fmt.Sprintf("the definition of release %d of service %s is lost with encryption key %s: deploy it", release.Number, r.Service, release.LostKey)
	}
	if begun.Refused != "" {
		return begun, nil
	}
	begun.Job, _ = release.Definition.Component(r.Job)
	begun.Image = servicedef.ByDigest(job.Image, job.Digest)
	if err := tx.QueryRow(ctx, `
		select coalesce((select run_id from deployments where service = $1 and number = $2), ''),
		       coalesce((select draining from nodes where name = $3), false)`,
		r.Service, release.Number, begun.Job.Node).Scan(&begun.ReleaseRun, &begun.Draining); err != nil {
		return begun, err
	}
	runs, err := selectRuns(ctx, tx, `where run_id = $1 or service = $2 and job = $3 and outcome is null order by number`, r.RunID, r.Service, r.Job)
	if err != nil {
		return begun, err
	}
	for i := range runs {
		if runs[i].RunID == r.RunID {
			begun.Run, begun.Other = &runs[i], nil
			return begun, nil
		}
		begun.Other = &runs[i]
	}
	if begun.Other != nil {
		return begun, nil
	}
	run := fleet.JobRun{
		Service: r.Service, Job: r.Job, Release: release.Number, Node: begun.Job.Node, Command: r.Command,
		Due: r.Due, Who: r.Who, From: r.From, WorkflowID: r.WorkflowID, RunID: r.RunID,
	}
	begun.Run = &run
	return begun, insertRun(ctx, tx, &run)
}

// insertRun records a run with the next number of its job.
func insertRun(ctx context.Context, tx pgx.Tx, run *fleet.JobRun) error {
	texts := sealedTexts{Command: run.Command}
	sealed, err := texts.seal(tx, jobRow(run.Service, run.RunID)...)
	if err != nil {
		return err
	}
	return tx.QueryRow(ctx, `
		with counted as (update jobs set runs = runs + 1 where service = $1 and name = $2 returning runs)
		insert into job_runs (service, job, number, release, node, command, due_at, who, from_host, workflow_id, run_id, sealed)
		select $1, $2, runs, $3, $4, $5, $6, $7, $8, $9, $10, $11 from counted
		returning number, started_at`,
		run.Service, run.Job, run.Release, run.Node, texts.Command, run.Due, run.Who, run.From, run.WorkflowID, run.RunID, sealed).
		Scan(&run.Number, &run.Started)
}

// SkipRun records that a run was left out because another one was under way. A repeated
// call records nothing more.
func (s *Store) SkipRun(ctx context.Context, r fleet.RunRequest, release int, node, detail string, keep int) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		runs, err := selectRuns(ctx, tx, `where run_id = $1`, r.RunID)
		if err != nil || len(runs) > 0 {
			return err
		}
		run := fleet.JobRun{
			Service: r.Service, Job: r.Job, Release: release, Node: node, Command: r.Command,
			Due: r.Due, Who: r.Who, From: r.From, WorkflowID: r.WorkflowID, RunID: r.RunID,
		}
		if err := insertRun(ctx, tx, &run); err != nil {
			return err
		}
		return endRun(ctx, tx, run, fleet.RunEnd{RunID: r.RunID, Outcome: fleet.RunSkipped, Detail: detail, Keep: keep})
	}, "record that a run of %s/%s was skipped", r.Service, r.Job)
}

// RecordAttempt records the container of a run's attempt.
func (s *Store) RecordAttempt(ctx context.Context, runID, container string, attempts int) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update job_runs set container = $2, attempts = $3 where run_id = $1 and outcome is null`, runID, container, attempts)
		return err
	}, "record an attempt of a run")
}

// EndRun records how a run has ended, with its event, and forgets the oldest runs of the
// job. A run that has ended is not changed.
func (s *Store) EndRun(ctx context.Context, r fleet.RunEnd) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		runs, err := selectRuns(ctx, tx, `where run_id = $1 and outcome is null for update`, r.RunID)
		if err != nil || len(runs) == 0 {
			return err
		}
		return endRun(ctx, tx, runs[0], r)
	}, "record the end of a run")
}

func endRun(ctx context.Context, tx pgx.Tx, run fleet.JobRun, r fleet.RunEnd) error {
	before, err := selectRuns(ctx, tx, `
		where service = $1 and job = $2 and number < $3 and outcome in ('succeeded', 'failed', 'missed', 'lost')
		order by number desc limit 1`, run.Service, run.Job, run.Number)
	if err != nil {
		return err
	}
	run.Outcome, run.ExitCode, run.Detail, run.Log = r.Outcome, r.ExitCode, held(r.Detail), texts(r.Log)
	if r.Container != "" {
		run.Container = held(r.Container)
	}
	texts := sealedTexts{Message: run.Detail, Log: run.Log, Command: run.Command}
	sealed, err := texts.seal(tx, jobRow(run.Service, run.RunID)...)
	if err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `
		update job_runs set outcome = $2, exit_code = $3, detail = $4, attempts = greatest(attempts, $5), container = $6, log = $7, lines = $8,
		       started_at = coalesce($9, started_at), ended_at = now(), command = $10, sealed = $11
		where run_id = $1 returning ended_at`,
		r.RunID, r.Outcome, r.ExitCode, texts.Message, r.Attempts, run.Container, texts.Log, r.Lines, nullTime(r.Started), texts.Command, sealed).Scan(&run.Ended); err != nil {
		return err
	}
	if r.Keep > 0 {
		if _, err := tx.Exec(ctx, `
			delete from job_runs where (service, job, number) in (
			    select service, job, number from job_runs
			    where service = $1 and job = $2 and outcome is not null order by number desc offset $3)`,
			run.Service, run.Job, r.Keep); err != nil {
			return err
		}
	}
	var last *fleet.JobRun
	if len(before) > 0 {
		last = &before[0]
	}
	if events := run.Events(last, run.Ended); len(events) > 0 {
		return writeEvents(ctx, tx, events, nonNil(r.Destinations))
	}
	return nil
}

// OpenJobRuns lists the runs under way of a service's jobs; of all services if it is "".
func (s *Store) OpenJobRuns(ctx context.Context, service string) ([]fleet.JobRun, error) {
	var runs []fleet.JobRun
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		runs, err = selectRuns(ctx, tx, `where outcome is null and $1 in ('', service) order by service, job, number`, service)
		return err
	}, "list the runs under way")
	return runs, err
}

// JobRuns lists the runs of a job, newest first; a limit of 0 lists all.
func (s *Store) JobRuns(ctx context.Context, service, job string, limit int) ([]fleet.JobRun, error) {
	var runs []fleet.JobRun
	err := s.read(ctx, func(tx pgx.Tx) error {
		var known bool
		if err := tx.QueryRow(ctx, `select exists (select from jobs where service = $1 and name = $2)`, service, job).Scan(&known); err != nil {
			return err
		}
		if !known {
			return unknownJob(service, job)
		}
		var err error
		runs, err = selectRuns(ctx, tx, `where service = $1 and job = $2 order by number desc limit nullif($3, 0)`, service, job, limit)
		return err
	}, "list the runs of %s/%s", service, job)
	return runs, err
}

func unknownJob(service, job string) error {
	return fault.New(fault.NotFound, "service %s has no job %s", service, job).WithHint("list the jobs: mcp jobs")
}

// PauseJob pauses the schedule of a job of the release, or resumes it if by is "". A
// job that is paused already stays as it is.
func (s *Store) PauseJob(ctx context.Context, service, job, by string) error {
	return s.write(ctx, func(tx pgx.Tx) error {
		var released bool
		err := tx.QueryRow(ctx, `
			update jobs set paused_at = case when $3 <> '' then coalesce(paused_at, now()) end,
			                paused_by = case when paused_at is not null and $3 <> '' then paused_by else $3 end
			where service = $1 and name = $2 returning released`, service, job, by).Scan(&released)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !released {
			return unknownJob(service, job)
		}
		return err
	}, "pause %s/%s", service, job)
}

// JobStates reads the jobs of the releases of services, or of all if there are no names,
// each with its last runs, in the order of their names.
func (s *Store) JobStates(ctx context.Context, names []string) ([]fleet.JobState, error) {
	var states []fleet.JobState
	err := s.read(ctx, func(tx pgx.Tx) error {
		records, err := loadServices(ctx, tx, names)
		if err != nil {
			return err
		}
		states = []fleet.JobState{}
		at := map[memberKey]int{}
		for _, record := range records {
			r := record.Release
			if r.Definition == nil {
				continue
			}
			for _, c := range r.Definition.Jobs() {
				job, released := r.Jobs[c.Name]
				if !released {
					continue
				}
				at[memberKey{r.Service, c.Name}] = len(states)
				states = append(states, fleet.JobState{
					Service: r.Service, Job: c, Active: r.Active, Release: r.Number, Paused: job.Paused, PausedBy: job.PausedBy,
				})
			}
		}
		runs, err := selectRuns(ctx, tx, `
			where (cardinality($1::text[]) = 0 or service = any($1)) and (outcome is null or number in (
			    select max(number) from job_runs other
			    where (other.service, other.job) = (job_runs.service, job_runs.job) and outcome is not null and outcome <> 'skipped'
			    union select max(number) from job_runs other
			    where (other.service, other.job) = (job_runs.service, job_runs.job) and outcome = 'succeeded'))
			order by number`, nonNil(names))
		if err != nil {
			return err
		}
		for i := range runs {
			state, released := at[memberKey{runs[i].Service, runs[i].Job}]
			if released {
				addRun(&states[state], &runs[i])
			}
		}
		return nil
	}, "read jobs")
	return states, err
}

// addRun adds a run to the state of its job, oldest first.
func addRun(state *fleet.JobState, run *fleet.JobRun) {
	run.Log = nil
	switch run.Outcome {
	case "":
		state.Running = run
		return
	case fleet.RunSucceeded:
		state.Succeeded = run.Ended
	}
	state.Last = run
}

// selectRuns reads runs.
func selectRuns(ctx context.Context, tx pgx.Tx, which string, args ...any) ([]fleet.JobRun, error) {
	rows, err := tx.Query(ctx, `
		select service, job, number, release, node, container, command, due_at, started_at, ended_at, coalesce(outcome, ''),
		       exit_code, detail, attempts, who, from_host, log, lines, workflow_id, run_id, sealed
		from job_runs `+which, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fleet.JobRun, error) {
		var r fleet.JobRun
		var ended *time.Time
		var sealed []byte
		err := row.Scan(&r.Service, &r.Job, &r.Number, &r.Release, &r.Node, &r.Container, &r.Command, &r.Due, &r.Started, &ended, &r.Outcome,
			&r.ExitCode, &r.Detail, &r.Attempts, &r.Who, &r.From, &r.Log, &r.Lines, &r.WorkflowID, &r.RunID, &sealed)
		if err != nil {
			return r, err
		}
		texts := sealedTexts{Message: r.Detail, Log: r.Log, Command: r.Command}
		err = texts.open(tx, sealed, jobRow(r.Service, r.RunID)...)
		r.Detail, r.Log, r.Command = texts.Message, texts.Log, texts.Command
		r.Ended = timeOf(ended)
		if len(r.Command) == 0 {
			r.Command = nil
		}
		return r, err
	})
}
