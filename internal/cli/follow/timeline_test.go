package follow

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

// rendering is the text that a timeline makes of a history.
type rendering struct {
	t     *testing.T
	view  *timeline
	out   bytes.Buffer
	start time.Time
}

func newRendering(t *testing.T, live bool) *rendering {
	d := &rendering{t: t, start: time.Now().Add(-time.Minute)}
	d.view = newTimeline(&d.out)
	d.view.live = live
	d.event(1, 0, enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, &history.HistoryEvent{})
	return d
}

// event adds one event, at a time after the beginning.
func (d *rendering) event(id int64, after time.Duration, kind enums.EventType, e *history.HistoryEvent) {
	e.EventId, e.EventType, e.EventTime = id, kind, timestamppb.New(d.start.Add(after))
	d.view.event(e)
}

// schedule begins a step; its activity id is that of its event.
func (d *rendering) schedule(id int64, after time.Duration, activity, queue, summary string) {
	payload, err := converter.GetDefaultDataConverter().ToPayload(summary)
	require.NoError(d.t, err)
	d.event(id, after, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, &history.HistoryEvent{
		UserMetadata: &sdk.UserMetadata{Summary: payload},
		Attributes: &history.HistoryEvent_ActivityTaskScheduledEventAttributes{ActivityTaskScheduledEventAttributes: &history.ActivityTaskScheduledEventAttributes{
			ActivityId: summary, ActivityType: &common.ActivityType{Name: activity}, TaskQueue: &taskqueue.TaskQueue{Name: queue},
		}},
	})
}

// complete ends it, at its nth attempt.
func (d *rendering) complete(id, scheduled int64, after time.Duration, attempt int32, cause string) {
	started := &history.ActivityTaskStartedEventAttributes{ScheduledEventId: scheduled, Attempt: attempt}
	if cause != "" {
		started.LastFailure = &failurepb.Failure{Message: cause}
	}
	d.event(id, after, enums.EVENT_TYPE_ACTIVITY_TASK_STARTED, &history.HistoryEvent{
		Attributes: &history.HistoryEvent_ActivityTaskStartedEventAttributes{ActivityTaskStartedEventAttributes: started},
	})
	d.event(id+1, after, enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, &history.HistoryEvent{
		Attributes: &history.HistoryEvent_ActivityTaskCompletedEventAttributes{
			ActivityTaskCompletedEventAttributes: &history.ActivityTaskCompletedEventAttributes{ScheduledEventId: scheduled},
		},
	})
}

// local adds a step that ran as a local activity.
func (d *rendering) local(id int64, after time.Duration, activity, summary string, failure *failurepb.Failure) {
	name, err := converter.GetDefaultDataConverter().ToPayload(summary)
	require.NoError(d.t, err)
	data, err := converter.GetDefaultDataConverter().ToPayloads(map[string]any{"ActivityID": "1", "ActivityType": activity})
	require.NoError(d.t, err)
	d.event(id, after, enums.EVENT_TYPE_MARKER_RECORDED, &history.HistoryEvent{
		UserMetadata: &sdk.UserMetadata{Summary: name},
		Attributes: &history.HistoryEvent_MarkerRecordedEventAttributes{MarkerRecordedEventAttributes: &history.MarkerRecordedEventAttributes{
			MarkerName: "LocalActivity", Details: map[string]*common.Payloads{"data": data}, Failure: failure,
		}},
	})
}

// running is a pending activity whose nth attempt reports its progress.
func (d *rendering) running(id string, attempt int32, cause string, progress workflows.Progress) *workflow.PendingActivityInfo {
	details, err := converter.GetDefaultDataConverter().ToPayloads(progress)
	require.NoError(d.t, err)
	p := &workflow.PendingActivityInfo{
		ActivityId: id, Attempt: attempt, State: enums.PENDING_ACTIVITY_STATE_STARTED, HeartbeatDetails: details,
	}
	if cause != "" {
		p.LastFailure = &failurepb.Failure{Message: cause}
	}
	return p
}

func TestAStoryWithRetries(t *testing.T) {
	d := newRendering(t, false)
	d.schedule(5, 10*time.Millisecond, "Push", "build-orion", "shop: push")
	d.complete(6, 5, 1260*time.Millisecond, 3, "connection refused")
	d.schedule(8, 1300*time.Millisecond, "RunContainer", "node-rift", "web: run on rift")
	d.complete(9, 8, 1310*time.Millisecond, 1, "")
	require.Equal(t, "  1.26s ✓ shop: push  (1.25s, attempt 3): after: connection refused\n  1.31s ✓ web: run on rift\n", d.out.String())
}

// A local activity is printed once it has ended; one that failed, if
// nothing follows from it.
func TestAStepThatIsDoneOnTheSpot(t *testing.T) {
	d := newRendering(t, false)
	d.local(5, 10*time.Millisecond, "BeginDeployment", "open the deployment of shop", nil)
	away := &failurepb.Failure{Message: "Postgres does not answer", FailureInfo: &failurepb.Failure_ApplicationFailureInfo{}}
	d.local(6, 20*time.Millisecond, "CommitRelease", "commit the release", away)
	d.event(7, 30*time.Millisecond, enums.EVENT_TYPE_MARKER_RECORDED, &history.HistoryEvent{
		Attributes: &history.HistoryEvent_MarkerRecordedEventAttributes{MarkerRecordedEventAttributes: &history.MarkerRecordedEventAttributes{MarkerName: "Version"}},
	})
	require.Nil(t, d.view.failed)
	refused := &failurepb.Failure{Message: "deployment 8 has begun", FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
		ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{NonRetryable: true},
	}}
	d.local(8, 40*time.Millisecond, "CommitRelease", "", refused)
	require.Equal(t, "CommitRelease", d.view.failed.activity)
	require.Equal(t, `  0.01s ✓ open the deployment of shop
  0.04s ✗ CommitRelease: deployment 8 has begun
`, d.out.String())
}

// That a deploy is in the audit is no step of it, whether it could be recorded or not.
func TestTheAuditIsNoStep(t *testing.T) {
	d := newRendering(t, false)
	d.local(5, 10*time.Millisecond, "RecordAudit", "add to the audit", nil)
	refused := &failurepb.Failure{Message: "permission denied", FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
		ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{NonRetryable: true},
	}}
	d.local(6, 20*time.Millisecond, "RecordAudit", "add to the audit", refused)
	d.schedule(7, 30*time.Millisecond, "RecordAudit", "control", "add to the audit")
	d.complete(8, 7, 40*time.Millisecond, 2, "Postgres does not answer")
	require.Empty(t, d.out.String())
	require.Nil(t, d.view.failed)
	require.Empty(t, d.view.pending)
}

// A plan is printed where it was made, unless only delays are.
func TestThePlanInAStory(t *testing.T) {
	plans := workflows.PlanResult{Release: 7, Builds: []string{"hub/web:v2"}, Plan: plan.Plan{
		Service: "shop", Steps: []plan.Step{{Component: "web", Node: "rift", Action: plan.Create}},
	}}
	for _, c := range []struct {
		name  string
		quiet bool
		side  any
		want  string
	}{
		{"a plan", false, plans, "shop: from release 7\n  * build and push hub/web:v2\n  + web  rift  create\n"},
		{"not requested", true, plans, ""},
		{"no plan", false, 7, ""},
		{"no change", false, workflows.PlanResult{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newRendering(t, false)
			d.view.quiet = c.quiet
			data, err := converter.GetDefaultDataConverter().ToPayloads(c.side)
			require.NoError(t, err)
			d.event(5, 0, enums.EVENT_TYPE_MARKER_RECORDED, &history.HistoryEvent{
				Attributes: &history.HistoryEvent_MarkerRecordedEventAttributes{MarkerRecordedEventAttributes: &history.MarkerRecordedEventAttributes{
					MarkerName: "SideEffect", Details: map[string]*common.Payloads{"data": data},
				}},
			})
			require.Equal(t, c.want, d.out.String())
		})
	}
}

// Off a screen each turn of a pending step is a line, printed once.
func TestThePendingStepsOffAScreen(t *testing.T) {
	d := newRendering(t, false)
	d.schedule(5, 0, "Push", "build-orion", "shop: push")
	for _, p := range []*workflow.PendingActivityInfo{
		d.running("shop: push", 1, "", workflows.Progress{Phase: "push", Detail: "1MB / 3MB"}),
		d.running("shop: push", 1, "", workflows.Progress{Phase: "push", Detail: "1MB / 3MB"}),
		d.running("shop: push", 2, "refused", workflows.Progress{Phase: "push", Detail: "1MB / 3MB"}),
		d.running("shop: push", 2, "refused", workflows.Progress{Phase: "push", Detail: "2MB / 3MB"}),
		d.running("shop: push", 3, "refused", workflows.Progress{Phase: "push", Detail: "2MB / 3MB"}),
		d.running("none", 3, "refused", workflows.Progress{}),
	} {
		d.view.update(p)
	}
	d.complete(6, 5, time.Minute, 3, "refused")
	require.Regexp(t, `^ +[\d.]+s … shop: push: 1MB / 3MB
 +[\d.]+s … shop: push: attempt 2, after: refused
 +[\d.]+s … shop: push: 2MB / 3MB
 +[\d.]+s … shop: push: attempt 3
 +60.00s ✓ shop: push  \(1m0s, attempt 3\)
$`, d.out.String())
}

// On a screen a pending step has one line, with all that there is to say of it.
func TestThePendingStepsOnAScreen(t *testing.T) {
	d := newRendering(t, true)
	d.schedule(5, 50*time.Second, "Build", "build-orion", "shop: build")
	d.schedule(6, 50*time.Second, "Survey", "node-rift", "survey rift")
	build := d.running("shop: build", 1, "", workflows.Progress{Phase: "build", Detail: "STEP 2/7"})
	survey := &workflow.PendingActivityInfo{ActivityId: "survey rift", Attempt: 1, State: enums.PENDING_ACTIVITY_STATE_SCHEDULED}
	d.view.update(build)
	d.view.update(survey)
	lines := d.view.lines()
	require.Len(t, lines, 2)
	require.Regexp(t, `shop: build  \([\d.]+s\): STEP 2/7$`, lines[0])
	require.Regexp(t, `survey rift  \([\d.]+s\)$`, lines[1])

	d.view.steps[6].seen = time.Now().Add(-workerTimeout)
	d.view.update(survey)
	require.Regexp(t, `survey rift  \([\d.]+s\): waiting for a worker of node-rift: mcp worker --node rift$`, d.view.lines()[1])

	build = &workflow.PendingActivityInfo{
		ActivityId: "shop: build", Attempt: 2, State: enums.PENDING_ACTIVITY_STATE_SCHEDULED,
		NextAttemptScheduleTime: timestamppb.New(time.Now().Add(5 * time.Second)), LastFailure: &failurepb.Failure{Message: "podman went away\nand more"},
	}
	d.view.update(build)
	require.Regexp(t, `shop: build  \([\d.]+s, attempt 2\): again in 5s, after: podman went away$`, d.view.lines()[0])

	require.Empty(t, d.out.String(), "nothing of it stays")
	d.complete(7, 6, 59*time.Second, 1, "")
	require.Len(t, d.view.lines(), 1)
	require.Contains(t, d.out.String(), "survey rift  (9s)\n")
}

// Temporal keeps the end of a step back while the workflow's own task is under way.
func TestAStepThatHasEndedIsNotShownAsPending(t *testing.T) {
	d := newRendering(t, true)
	d.schedule(5, 50*time.Second, "RunContainer", "node-rift", "web: run on rift")
	d.schedule(6, 50*time.Second, "RunContainer", "node-rift", "api: run on rift")
	before := d.view.underWay()
	require.ElementsMatch(t, []string{"web: run on rift", "api: run on rift"}, before)
	d.schedule(7, 50*time.Second, "RunContainer", "node-rift", "db: run on rift")

	d.view.settle(before, []*workflow.PendingActivityInfo{{ActivityId: "api: run on rift"}})
	lines := d.view.lines()
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], "api: run on rift")
	require.Contains(t, lines[1], "db: run on rift", "it was scheduled after Temporal was asked")

	d.complete(8, 5, 51*time.Second, 1, "")
	require.Contains(t, d.out.String(), "web: run on rift  (1s)\n")
	require.NotContains(t, d.view.underWay(), "web: run on rift")
}

// A field without a former value is shown with one, where it has values.
func TestTheWordsOfAChange(t *testing.T) {
	for want, change := range map[string]plan.Change{
		"env.KEY: added":                    {Field: "env.KEY", To: "added"},
		"env.KEY: removed":                  {Field: "env.KEY", To: "removed"},
		"user: (none) → 1000":               {Field: "user", To: "1000"},
		"user: 1000 → (none)":               {Field: "user", From: "1000"},
		"memory: 1g → 2g":                   {Field: "memory", From: "1g", To: "2g"},
		"routes.http.hostname: (none) → h.": {Field: "routes.http.hostname", To: "h."},
		"force: replace":                    {Field: "force", To: "replace"},
	} {
		require.Equal(t, want, changeText(change))
	}
}

// What a plan leaves to later is in it.
func TestAPlanNamesTheNodesThatDoNotAnswer(t *testing.T) {
	var out bytes.Buffer
	WritePlan(&out, workflows.PlanResult{Release: 7, Plan: plan.Plan{Service: "shop", Unreachable: []string{"orion"}}})
	require.Contains(t, out.String(), "! orion does not answer: what it has to remove stays until it is back")
}

func TestAPlanShowsURLs(t *testing.T) {
	edges := []plan.EdgeChange{
		{URL: "https://shop.example", Components: []string{"web"}, Action: plan.Keep},
		{
			URL: "https://shop.example/api", Components: []string{"api", "api-two"}, Action: plan.Replace,
			Changes: []plan.Change{{Field: "h2c", From: "false", To: "true"}, {Field: "allow", To: "10.0.0.0/8"}, {Field: "basic_auth.ann", To: "added"}},
		},
		{URL: "https://www.shop.example", Components: []string{"web"}, Redirect: "shop.example", Action: plan.Create},
		{URL: "tcp://:5432", Components: []string{"db"}, Action: plan.Remove},
	}
	var out bytes.Buffer
	WritePlan(&out, workflows.PlanResult{Plan: plan.Plan{Service: "shop", Definition: true, Edges: edges, Warnings: []string{"no edge is admitted"}}})
	require.Equal(t, `shop: no release yet
  = https://shop.example      web
  ~ https://shop.example/api  api, api-two
      h2c: false → true
      allow: (none) → 10.0.0.0/8
      basic_auth.ann: added
  + https://www.shop.example  redirects to shop.example
  - tcp://:5432               db
  the definition changes, and no container for it
  ! no edge is admitted
`, out.String())
	out.Reset()
	WritePlan(&out, workflows.PlanResult{Plan: plan.Plan{Service: "shop", Edges: edges[:1]}})
	require.Equal(t, "shop: no change\n  = https://shop.example  web\n", out.String())
}

// A plan without a change of a service that is dirty is not all that a deploy does.
func TestAPlanOfADirtyService(t *testing.T) {
	var out bytes.Buffer
	WritePlan(&out, workflows.PlanResult{Dirty: true, Plan: plan.Plan{Service: "shop"}})
	require.Equal(t, "shop: no change to its containers; it is dirty, and a deploy marks it clean\n", out.String())
}

// Each container is counted once, whatever is repaired of it.
func TestAPlanCountsTheContainersToRepair(t *testing.T) {
	var out bytes.Buffer
	WritePlan(&out, workflows.PlanResult{Plan: plan.Plan{Service: "shop", Recovery: []plan.Recovery{
		{Node: "rift", Start: []fleet.Ref{{Name: "shop-web"}}},
		{Node: "orion", Remove: []fleet.Ref{{Name: "shop-api.next"}}, Rename: []plan.Rename{{From: "shop-api.prev", To: "shop-api"}}, Start: []fleet.Ref{{Name: "shop-api"}}},
	}}})
	require.Contains(t, out.String(), "! rift: 1 container to repair")
	require.Contains(t, out.String(), "! orion: 2 containers to repair")
}

// A deploy that has succeeded and goes on is at its end for its command, unless that
// waits, or is the builder that is to remove images first.
func TestADeployThatHasSucceeded(t *testing.T) {
	retiring := []workflows.Retiring{{Container: "shop-web.prev", Node: "rift"}}
	for _, c := range []struct {
		name         string
		follower     Follower
		prunes       bool
		enough, then bool // after the marker; once the builder has removed its images
		want         string
	}{
		{"ends", Follower{}, true, true, true, ""},
		{"with --wait it does not", Follower{ToEnd: true}, false, false, false, "  1.00s ✓ released; waiting until the former containers are gone\n"},
		{"a builder removes images first", Follower{Builds: true}, true, false, true, ""},
		{"a builder without any does not", Follower{Builds: true}, false, true, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newRendering(t, false)
			d.view.toEnd = c.follower.ToEnd
			require.False(t, c.follower.enough(d.view))
			released := workflows.Released{Result: &workflows.Result{Outcome: workflows.Succeeded, Retiring: retiring}, Prunes: c.prunes}
			data, err := converter.GetDefaultDataConverter().ToPayloads(released)
			require.NoError(t, err)
			d.event(5, time.Second, enums.EVENT_TYPE_MARKER_RECORDED, &history.HistoryEvent{
				Attributes: &history.HistoryEvent_MarkerRecordedEventAttributes{MarkerRecordedEventAttributes: &history.MarkerRecordedEventAttributes{
					MarkerName: "SideEffect", Details: map[string]*common.Payloads{"data": data},
				}},
			})
			require.Equal(t, c.enough, c.follower.enough(d.view))
			require.Equal(t, c.want, d.out.String())
			d.view.quiet = true
			d.schedule(6, time.Second, "PruneImages", "node-rift", "prune images on rift")
			d.complete(7, 6, time.Second, 1, "")
			require.Equal(t, c.enough, c.follower.enough(d.view))
			d.schedule(9, time.Second, "PruneImages", "build-orion", "prune images on builder orion")
			d.complete(10, 9, time.Second, 1, "")
			require.Equal(t, c.then, c.follower.enough(d.view))
		})
	}
}
