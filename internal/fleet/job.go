package fleet

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// Job is a job of a release.
type Job struct {
	Name string `json:"name"`
	// Image is the reference in the definition, Digest that of its manifest.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// Paused is when its schedule was paused, and PausedBy who did it; zero if it was
	// not. A pause outlives releases.
	Paused   time.Time `json:"paused,omitzero"`
	PausedBy string    `json:"paused_by,omitempty"`
}

// RunOutcome is how a run of a job has ended; "" while it is under way.
type RunOutcome string

// The outcomes of a run.
const (
	RunSucceeded RunOutcome = "succeeded" // exited with code 0
	RunFailed    RunOutcome = "failed"    // every attempt failed, or took too long
	RunCancelled RunOutcome = "cancelled" // was ended on request
	RunMissed    RunOutcome = "missed"    // could not be started in time
	RunSkipped   RunOutcome = "skipped"   // another run was under way
	RunLost      RunOutcome = "lost"      // its workflow was ended in Temporal
)

// Failed reports whether the run needs attention.
func (o RunOutcome) Failed() bool { return o == RunFailed || o == RunMissed || o == RunLost }

// JobRun is a run of a job.
type JobRun struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// Number counts the runs of a job from 1.
	Number int `json:"number"`
	// Release is that whose definition it runs with.
	Release   int    `json:"release"`
	Node      string `json:"node"`
	Container string `json:"container,omitempty"`
	// Command is what it runs instead of the job's own; nil for that.
	Command []string `json:"command,omitempty"`
	// Due is when the schedule wanted it, or when it was asked for.
	Due     time.Time `json:"due"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Outcome is "" while it is under way.
	Outcome RunOutcome `json:"outcome,omitempty"`
	// ExitCode is that of the last attempt, whose end Detail describes.
	ExitCode int    `json:"exit_code"`
	Detail   string `json:"detail,omitempty"`
	// Attempts is how many were made.
	Attempts int `json:"attempts"`
	// Who asked for it, and From which machine; "" for the schedule.
	Who  string `json:"who,omitempty"`
	From string `json:"from,omitempty"`
	// Log are the last lines of its output, and Lines how many there were.
	Log        []string `json:"log,omitempty"`
	Lines      int      `json:"lines,omitempty"`
	WorkflowID string   `json:"workflow_id"`
	RunID      string   `json:"run_id"`
}

// Name returns "shop/backup".
func (r JobRun) Name() string { return r.Service + "/" + r.Job }

// Task is the last attempt of the run.
func (r JobRun) Task() Task { return RunTask(r.RunID, r.Attempts, r.Job) }

// RunTask is an attempt of a run, counted from 1.
func RunTask(runID string, attempt int, job string) Task {
	return Task{ID: fmt.Sprintf("%s/%d", runID, attempt), Kind: JobTask, Name: job}
}

// State returns the outcome in a word, "running" while there is none.
func (r JobRun) State() string { return cmp.Or(string(r.Outcome), "running") }

// JobState is a job of a release with its last runs.
type JobState struct {
	Service string               `json:"service"`
	Job     servicedef.Component `json:"job"`
	// Active is false while the service is stopped.
	Active   bool      `json:"active"`
	Release  int       `json:"release"`
	Paused   time.Time `json:"paused,omitzero"`
	PausedBy string    `json:"paused_by,omitempty"`
	// Running is the run under way, Last the newest that has ended, and Succeeded when
	// the last run that has succeeded ended.
	Running   *JobRun   `json:"running,omitempty"`
	Last      *JobRun   `json:"last,omitempty"`
	Succeeded time.Time `json:"succeeded,omitzero"`
}

// Next returns when the job is due after a time; zero for never.
func (s JobState) Next(after time.Time) time.Time {
	if !s.Active || !s.Paused.IsZero() {
		return time.Time{}
	}
	return s.Job.Timetable().Next(after, s.Job.Zone())
}

// RunRequest opens a run of a job.
type RunRequest struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	// Command replaces the job's own; empty keeps it.
	Command    []string  `json:"command,omitempty"`
	Due        time.Time `json:"due"`
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
	// Who asked for it, and From which machine; "" for the schedule.
	Who  string `json:"who,omitempty"`
	From string `json:"from,omitempty"`
}

// RunBegun is what a request for a run has led to.
type RunBegun struct {
	// Run is the run; nil if there is none, for the reason in Refused or Other.
	Run *JobRun `json:"run,omitempty"`
	// Job is the component in the release, and Image its image by digest.
	Job   servicedef.Component `json:"job"`
	Image string               `json:"image"`
	// ReleaseRun is the run of the release's deployment.
	ReleaseRun string `json:"release_run,omitempty"`
	// Draining reports whether the node gets no new container.
	Draining bool `json:"draining,omitempty"`
	// Other is the run that is under way.
	Other *JobRun `json:"other,omitempty"`
	// Refused is why the job cannot run: it is not in the release, or the release is
	// stopped.
	Refused string `json:"refused,omitempty"`
}

// RunEnd records how a run has ended.
type RunEnd struct {
	RunID     string     `json:"run_id"`
	Outcome   RunOutcome `json:"outcome"`
	ExitCode  int        `json:"exit_code"`
	Detail    string     `json:"detail,omitempty"`
	Attempts  int        `json:"attempts"`
	Container string     `json:"container,omitempty"`
	Started   time.Time  `json:"started,omitzero"`
	Log       []string   `json:"log,omitempty"`
	Lines     int        `json:"lines,omitempty"`
	// Keep is how many ended runs of the job stay recorded.
	Keep int `json:"keep"`
	// Destinations get an alert for each event; the control worker sets them.
	Destinations []string `json:"-"`
}

// Events returns the event of a run's end: one for each run that has failed, and one for
// the first that has succeeded after that. Before is the run that ended before it; nil
// for none.
func (r JobRun) Events(before *JobRun, at time.Time) []Event {
	event := Event{At: at, Since: r.Due, Node: r.Node, Drift: Drift{Service: r.Service, Component: r.Job, Container: r.Container}}
	failed := before != nil && before.Outcome.Failed()
	switch {
	case r.Outcome.Failed():
		event.Kind, event.Detail = EventJobFailed, fmt.Sprintf("run %d %s", r.Number, r.Outcome)
		if r.Detail != "" {
			event.Detail += ": " + r.Detail
		}
		if len(r.Log) > 0 {
			event.Detail += ": " + strings.TrimSpace(r.Log[len(r.Log)-1])
		}
	case r.Outcome == RunSucceeded && failed:
		event.Kind, event.Detail = EventJobRecovered, fmt.Sprintf("run %d succeeded", r.Number)
	default:
		return nil
	}
	return []Event{event}
}
