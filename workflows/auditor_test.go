package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/door/who"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// auditing is a harness with an audit.
type auditing struct {
	*harness
	// refuses is the error of each attempt to record; nil for none.
	refuses func() error
	entries []fleet.AuditEntry
	events  []fleet.Event
	// door is the key of the door; nil for none.
	door who.Key
}

func (a *auditing) signed(id, workflow string, actor, signature []byte) bool {
	return a.door.Verify(id, workflow, actor, signature)
}

func newAuditing(t *testing.T) *auditing {
	t.Helper()
	a := &auditing{harness: newHarness(t), refuses: func() error { return nil }}
	a.env.SetWorkerOptions(workerOptions(&boundCheck{t: t}, workflows.NewAuditor(a.signed)))
	a.env.RegisterActivityWithOptions(func(_ context.Context, entries []fleet.AuditEntry) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := a.refuses(); err != nil {
			return attempt.ToTemporal(err, fault.Of(err).Kind.Retryable())
		}
		for _, e := range entries { // as the registry does: the first one stays
			if !slices.ContainsFunc(a.entries, func(old fleet.AuditEntry) bool { return old.Key == e.Key && old.Ended() == e.Ended() }) {
				a.entries = append(a.entries, e)
			}
		}
		return nil
	}, activity.RegisterOptions{Name: "RecordAudit"})
	a.env.RegisterActivityWithOptions(func(_ context.Context, events []fleet.Event) (oncontrol.RecordEventsResult, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, events...)
		return oncontrol.RecordEventsResult{}, nil
	}, activity.RegisterOptions{Name: "RecordEvents"})
	return a
}

// by sets who starts the workflow.
func (a *auditing) by(t *testing.T, actor any) {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(actor)
	require.NoError(t, err)
	a.env.SetHeader(&common.Header{Fields: map[string]*common.Payload{workflows.HeaderActor: payload}})
}

// said are the entries, each in a line.
func (a *auditing) said() (lines []string) {
	for _, e := range a.entries {
		claim := ""
		if e.Claimed {
			claim = " (claimed)"
		}
		lines = append(lines, fmt.Sprintf("%s@%s%s: %s %s: %s %s", e.Who, e.From, claim, e.Verb, e.Subject(), e.Outcome, e.Error))
	}
	return lines
}

var alice = fleet.Actor{Who: "alice", From: "laptop"}

func TestADeployIsInTheAudit(t *testing.T) {
	a := newAuditing(t)
	a.by(t, alice)
	in := shop()
	in.Force = true
	a.env.ExecuteWorkflow(workflows.DeployName, in)
	require.NoError(t, a.env.GetWorkflowError())
	require.Equal(t, []string{
		"alice@laptop (claimed): deploy shop:  ",
		"alice@laptop (claimed): deploy shop: succeeded ",
	}, a.said())
	require.Equal(t, a.entries[0].Key, a.entries[1].Key)
	require.Equal(t, "--force", a.entries[0].Detail)
	require.NotEmpty(t, a.entries[0].RunID)
	require.NotEmpty(t, a.entries[0].WorkflowID)
}

func TestADeployThatFailsSaysWhyInTheAudit(t *testing.T) {
	a := newAuditing(t)
	a.by(t, alice)
	a.fail = failing("RunContainer", 0, fault.New(fault.Unhealthy, "api exited"))
	a.env.ExecuteWorkflow(workflows.DeployName, shop())
	require.Error(t, a.env.GetWorkflowError())
	require.Len(t, a.entries, 2)
	require.Equal(t, "failed", a.entries[1].Outcome)
	require.Contains(t, a.entries[1].Error, "api exited")
}

// What the audit does not take keeps no deploy from its end: another workflow goes on
// with it, and that it lacks something is an event.
func TestWhatTheAuditRefusesIsTriedOnAndAnEvent(t *testing.T) {
	a := newAuditing(t)
	a.by(t, alice)
	attempts := 0
	a.refuses = func() error {
		if attempts++; attempts < 6 {
			return fault.New(fault.Unauthorized, "permission denied for table audit")
		}
		return nil
	}
	a.env.ExecuteWorkflow(workflows.DeployName, shop())
	require.NoError(t, a.env.GetWorkflowError(), "the deploy succeeds")
	require.Equal(t, []string{
		"alice@laptop (claimed): deploy shop:  ",
		"alice@laptop (claimed): deploy shop: succeeded ",
	}, a.said())
	require.Len(t, a.events, 2)
	require.Equal(t, "shop: unaudited: deploy of shop by alice on laptop is not in the audit yet: permission denied for table audit", a.events[0].Line())
	require.Equal(t, fleet.EventAudited, a.events[1].Kind)
}

func TestARegistryThatIsAwayDelaysTheAuditAlone(t *testing.T) {
	a := newAuditing(t)
	a.by(t, alice)
	until := a.env.Now().Add(time.Hour)
	a.refuses = func() error {
		if a.env.Now().Before(until) {
			return fault.New(fault.Unavailable, "Postgres is away")
		}
		return nil
	}
	a.env.ExecuteWorkflow(tend.RemoveEdgeName, "front")
	require.Len(t, a.entries, 2)
	require.Equal(t, []string{"begun"}, []string{phaseOf(a.entries[0])})
	require.True(t, a.entries[0].At.Before(until), "when it was done, not when it was recorded: %s", a.entries[0].At)
}

func phaseOf(e fleet.AuditEntry) string {
	if e.Ended() {
		return "ended"
	}
	return "begun"
}

func TestWhoDidIt(t *testing.T) {
	for name, test := range map[string]struct {
		header any
		want   string
	}{
		"a client's claim":            {alice, "alice@laptop (claimed)"},
		"a claim to be authenticated": {fleet.Actor{Who: "root", From: "", Claimed: false}, "root@ (claimed)"},
		"a claim of another shape":    {[]string{"alice"}, "unknown@ (claimed)"},
		"a claim of no one":           {fleet.Actor{}, "unknown@ (claimed)"},
		"no claim":                    {nil, "unknown@ (claimed)"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuditing(t)
			if test.header != nil {
				a.by(t, test.header)
			}
			a.env.ExecuteWorkflow(tend.RemoveEdgeName, "front")
			require.Len(t, a.entries, 2)
			require.Contains(t, a.said()[0], test.want+": edge remove edge front: ")
		})
	}
}

// A workflow that mcp has started is its own action.
func TestAMendIsOfMcpItself(t *testing.T) {
	a := newAuditing(t)
	a.by(t, alice)
	a.fail = failing("RunContainer", 0, fault.New(fault.Unhealthy, "api exited"))
	restores := 0
	fail := a.fail
	a.fail = func(call string, attempt int32) error {
		if strings.HasPrefix(call, "Restore") {
			if restores++; restores == 1 {
				return fault.New(fault.Invalid, "podman is broken")
			}
			return nil
		}
		return fail(call, attempt)
	}
	a.env.ExecuteWorkflow(workflows.DeployName, shop())
	require.Error(t, a.env.GetWorkflowError())
	require.Contains(t, a.said(), "mcp@: mend shop:  ")
}

// Arguments of a program may be secrets.
func TestTheAuditHasNoArgumentsOfPrograms(t *testing.T) {
	a := newAuditing(t)
	a.by(t, alice)
	a.env.ExecuteWorkflow(workflows.ExecName, workflows.ExecInput{Service: "nothing", Command: []string{"psql", "--password=hunter2"}, Timeout: time.Second})
	require.Len(t, a.entries, 2)
	require.Equal(t, "psql and 1 more", a.entries[0].Detail)
	for _, e := range a.entries {
		require.NotContains(t, fmt.Sprint(e), "hunter2")
	}
}

// unaudited are the workflows that are no action of anyone, and why.
var unaudited = map[string]string{
	workflows.AdoptionName: "reads", workflows.PlanName: "reads", reads.StatusName: "reads", reads.ServicesName: "reads",
	reads.ProcessesName: "reads", reads.HistoryName: "reads", workflows.SnapshotName: "reads", reads.NodeStatesName: "reads",
	reads.EventsName: "reads", reads.NodeHistoryName: "reads", reads.PurgeableName: "reads", reads.LogsName: "reads",
	reads.DoctorName: "reads", reads.EdgesName: "reads", reads.RoutesName: "reads", reads.AccessLogName: "reads",
	reads.BuildLogName: "reads", reads.JobsName: "reads", reads.JobRunsName: "reads", reads.JobLogsName: "reads",
	reads.SecretsName: "reads", reads.EnvelopesName: "reads",
	reads.NodePolicyName: "reads", reads.AuditName: "reads", workflows.RecordAuditName: "is the audit",
	tend.RegisterNodeName: "a worker's own", tend.ClaimNodeName: "a worker's own", tend.AnnounceEdgeName: "an edge's own",
	tend.EdgeStorageName: "an edge's own", tend.MonitorName: "observes", tend.MonitorNodeName: "observes",
	tend.AlertName: "sends events", tend.RetentionName: "thins what was observed",
	workflows.RemoveTaskName: "the end of a run that is in the audit",
}

func TestEveryWorkflowIsAuditedOrSaysWhyNot(t *testing.T) {
	for name := range workers.Workflows() {
		require.NotEqual(t, unaudited[name] == "", !workflows.IsAudited(name), "%s: add it to the table of actions in audited.go, or to this list with the reason", name)
	}
	for name := range unaudited {
		require.Contains(t, workers.Workflows(), name)
	}
}

func TestWhatACancelIs(t *testing.T) {
	for id, want := range map[string]string{
		workflows.DeployID("shop"):              "cancel shop",
		workflows.BuildID("shop"):               "cancel shop",
		workflows.RunID("shop", "backup", "1f"): "job cancel shop/backup",
		workflows.JobID("shop", "backup"):       "job cancel shop/backup",
		reads.ID("status", "1f"):                "",
		"deploys/shop":                          "",
	} {
		action, ok := workflows.CancelOf(id)
		require.Equal(t, want != "", ok, id)
		if ok {
			require.Equal(t, want, action.Verb+" "+action.Subject())
			require.Contains(t, workflows.AuditedVerbs(), action.Verb)
		}
	}
}
