package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// jobSchedules are the schedules of jobs in Temporal.
type jobSchedules struct {
	client client.Client
	// keys are those with which the schedules are encrypted; nil for none.
	keys *keyring.Keys
}

// overlaps maps the overlaps of a definition to Temporal's.
var overlaps = map[servicedef.Overlap]enums.ScheduleOverlapPolicy{
	servicedef.OverlapSkip:    enums.SCHEDULE_OVERLAP_POLICY_SKIP,
	servicedef.OverlapQueue:   enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	servicedef.OverlapReplace: enums.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
}

// scheduleOf is the schedule of a job.
func (j jobSchedules) scheduleOf(s oncontrol.JobSchedule) client.ScheduleOptions {
	id := workflows.JobID(s.Service, s.Job.Name)
	return client.ScheduleOptions{
		ID:   id,
		Spec: specOf(s.Job),
		Action: &client.ScheduleWorkflowAction{
			ID:                    id,
			Workflow:              workflows.RunJobName,
			Args:                  []any{workflows.RunJobInput{Service: s.Service, Job: s.Job.Name, Schedule: j.hash(s)}},
			TaskQueue:             activities.QueueControl,
			StaticSummary:         "run " + s.Service + "/" + s.Job.Name,
			TypedSearchAttributes: temporal.NewSearchAttributes(workflows.SearchService.ValueSet(s.Service), workflows.SearchNode.ValueSet([]string{s.Job.Node})),
		},
		Overlap:       overlaps[s.Job.Overlap],
		CatchupWindow: time.Duration(s.Job.CatchUp),
		Paused:        s.PausedBy != "",
		Note:          noteOf(s),
	}
}

// noteOf is what Temporal shows beside the state of a schedule.
func noteOf(s oncontrol.JobSchedule) string {
	if s.PausedBy == "" {
		return ""
	}
	return "paused by " + s.PausedBy
}

// hash is equal for two equal schedules that are encrypted with one key: another key
// makes them again.
func (j jobSchedules) hash(s oncontrol.JobSchedule) string {
	made := []any{s.Job.Schedule, s.Job.ZoneName(), s.Job.Overlap, s.Job.CatchUp, s.Job.Jitter, s.Job.Node, s.PausedBy}
	if key := keyID(j.keys); key != "" {
		made = append(made, key)
	}
	text, err := json.Marshal(made)
	if err != nil {
		panic(fmt.Sprintf("encode the schedule of %s/%s: %v", s.Service, s.Job.Name, err)) // plain data; cannot happen
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// specOf is when a job is due.
func specOf(c servicedef.Component) client.ScheduleSpec {
	table := c.Timetable()
	spec := client.ScheduleSpec{Jitter: time.Duration(c.Jitter), TimeZoneName: c.ZoneName()}
	if table.Every > 0 {
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: table.Every}}
		return spec
	}
	for _, calendar := range table.Calendars {
		spec.Calendars = append(spec.Calendars, client.ScheduleCalendarSpec{
			Minute: ranges(calendar.Minutes), Hour: ranges(calendar.Hours), DayOfMonth: ranges(calendar.Days),
			Month: ranges(calendar.Months), DayOfWeek: ranges(calendar.Weekdays),
		})
	}
	return spec
}

// ranges joins sorted numbers that follow each other.
func ranges(numbers []int) []client.ScheduleRange {
	var joined []client.ScheduleRange
	for _, n := range numbers {
		if last := len(joined) - 1; last >= 0 && joined[last].End == n-1 {
			joined[last].End = n
			continue
		}
		joined = append(joined, client.ScheduleRange{Start: n, End: n})
	}
	return joined
}

// Keep makes the schedule of a job, or updates it if it was made from something else.
// A pause by hand in Temporal stays until the job is paused or resumed.
func (j jobSchedules) Keep(ctx context.Context, s oncontrol.JobSchedule) error {
	o := j.scheduleOf(s)
	const doing = "schedule %s/%s"
	handle := j.client.ScheduleClient().GetHandle(ctx, o.ID)
	described, err := handle.Describe(ctx)
	switch {
	case errors.As(err, new(*serviceerror.NotFound)):
		_, err = j.client.ScheduleClient().Create(ctx, o)
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			err = fault.New(fault.Unavailable, "another control worker has just made it") // the next attempt compares it
		}
		return jobFault(err, doing, s.Service, s.Job.Name)
	case err != nil:
		return jobFault(err, doing, s.Service, s.Job.Name)
	case madeFrom(described.Schedule.Action) == j.hash(s):
		return nil
	}
	err = handle.Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(current client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			updated := current.Description.Schedule
			updated.Spec, updated.Action = &o.Spec, o.Action
			updated.Policy = &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow}
			updated.State.Paused, updated.State.Note = o.Paused, o.Note
			return &client.ScheduleUpdate{Schedule: &updated}, nil
		},
	})
	return jobFault(err, doing, s.Service, s.Job.Name)
}

// madeFrom returns the hash of what a schedule was made from; "" if that is not known.
func madeFrom(action client.ScheduleAction) string {
	workflow, ok := action.(*client.ScheduleWorkflowAction)
	if !ok || len(workflow.Args) != 1 {
		return ""
	}
	var in workflows.RunJobInput
	if payload, ok := workflow.Args[0].(*common.Payload); !ok || converter.GetDefaultDataConverter().FromPayload(payload, &in) != nil {
		return ""
	}
	return in.Schedule
}

// Drop deletes the schedule of a job.
func (j jobSchedules) Drop(ctx context.Context, job oncontrol.JobKey) error {
	err := j.client.ScheduleClient().GetHandle(ctx, workflows.JobID(job.Service, job.Job)).Delete(ctx)
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	return jobFault(err, "delete the schedule of %s/%s", job.Service, job.Job)
}

// Jobs lists the schedules of jobs.
func (j jobSchedules) Jobs(ctx context.Context, service string) ([]oncontrol.JobKey, error) {
	list, err := j.client.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 1000})
	if err != nil {
		return nil, jobFault(err, "list the schedules of jobs")
	}
	var jobs []oncontrol.JobKey
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, jobFault(err, "list the schedules of jobs")
		}
		of, job, ok := workflows.JobOf(entry.ID)
		if ok && (service == "" || of == service) {
			jobs = append(jobs, oncontrol.JobKey{Service: of, Job: job})
		}
	}
	return jobs, nil
}

// Cancel requests the end of a run.
func (j jobSchedules) Cancel(ctx context.Context, workflowID, runID string) error {
	err := j.client.CancelWorkflow(ctx, workflowID, runID)
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	return jobFault(err, "cancel %s", workflowID)
}

// jobFault wraps an error of Temporal; it returns nil for nil.
func jobFault(err error, doing string, args ...any) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.As(err, new(*serviceerror.InvalidArgument)) {
		return fault.Wrap(fault.Invalid, err, doing, args...)
	}
	return fault.Wrap(fault.Unavailable, err, doing, args...)
}
