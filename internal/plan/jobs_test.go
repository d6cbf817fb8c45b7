package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

func backup() servicedef.Component {
	return servicedef.Component{
		Name: "backup", Node: "rift", Image: "r.example/api:v1", Schedule: "0 3 * * *", Overlap: servicedef.OverlapSkip,
		CatchUp: servicedef.Duration(time.Hour), Timeout: servicedef.Duration(time.Hour), Keep: 10,
	}
}

// withBackup is a service that runs as released, with a job.
func withBackup() plan.Input {
	in := steady()
	in.Desired.Components = append(in.Desired.Components, backup())
	definition := in.Desired
	in.Release.Definition = &definition
	in.Release.Jobs = map[string]fleet.Job{"backup": {Name: "backup", Image: "r.example/api:v1", Digest: oldDigest}}
	in.Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return in
}

func TestWhatBecomesOfAJob(t *testing.T) {
	next := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	change := func(in *plan.Input, edit func(*servicedef.Component)) {
		in.Desired.Components = append(in.Desired.Components[:2:2], backup())
		edit(&in.Desired.Components[2])
	}
	tests := map[string]struct {
		change  func(in *plan.Input)
		action  plan.Action
		next    time.Time
		reasons []string
		steps   string
	}{
		"it is kept": {func(*plan.Input) {}, plan.Keep, next, nil, "=api@rift =web@rift"},
		"it is new":  {func(in *plan.Input) { in.Release.Jobs = nil }, plan.Create, next, nil, "=api@rift =web@rift"},
		"another schedule": {
			func(in *plan.Input) { change(in, func(c *servicedef.Component) { c.Schedule = "0 4 * * *" }) },
			plan.Replace, next.Add(time.Hour), []string{"schedule"}, "=api@rift =web@rift"},
		"another command": {
			func(in *plan.Input) { change(in, func(c *servicedef.Component) { c.Cmd = []string{"dump"} }) },
			plan.Replace, next, []string{"cmd"}, "=api@rift =web@rift"},
		"another time zone": {
			func(in *plan.Input) { change(in, func(c *servicedef.Component) { c.Timezone = "Asia/Tokyo" }) },
			plan.Replace, time.Date(2026, 3, 1, 18, 0, 0, 0, time.UTC), []string{"timezone"}, "=api@rift =web@rift"},
		"another node": {
			func(in *plan.Input) { change(in, func(c *servicedef.Component) { c.Node = "orion" }) },
			plan.Replace, next, []string{"node"}, "=api@rift =web@rift"},
		"a tag that moved": {
			func(in *plan.Input) { in.Digests["r.example/api:v1"] = newDigest },
			plan.Replace, next, []string{"digest"}, "~api@rift =web@rift"},
		"a pause": {
			func(in *plan.Input) {
				in.Release.Jobs = map[string]fleet.Job{"backup": {Name: "backup", Image: "r.example/api:v1", Digest: oldDigest, Paused: next}}
			}, plan.Keep, time.Time{}, nil, "=api@rift =web@rift"},
		"the service is stopped":         {func(in *plan.Input) { in.Desired.Active = false }, plan.Stop, time.Time{}, nil, ".api@rift .web@rift"},
		"it is not among those deployed": {func(in *plan.Input) { in.Only = []string{"api"} }, plan.Keep, next, nil, "=api@rift =web@rift"},
		"it goes": {
			func(in *plan.Input) { in.Desired = shop() }, plan.Remove, time.Time{}, nil, "=api@rift =web@rift"},
		"it becomes a component that runs all the time": {
			func(in *plan.Input) { change(in, func(c *servicedef.Component) { c.Schedule = "" }) },
			plan.Remove, time.Time{}, nil, "=api@rift +backup@rift =web@rift"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := withBackup()
			test.change(&in)
			made, err := plan.Make(in)
			require.NoError(t, err)
			require.Len(t, made.Jobs, 1)
			step := made.Jobs[0]
			require.Equal(t, test.action, step.Action)
			require.True(t, test.next.Equal(step.Next), "%v", step.Next)
			var reasons []string
			for _, c := range step.Changes {
				reasons = append(reasons, c.Field)
			}
			require.Equal(t, test.reasons, reasons)
			require.Equal(t, test.steps, actions(made))
			require.Equal(t, test.action != plan.Keep, made.ChangesJobs())
			require.Equal(t, test.action == plan.Stop, made.EndsJobs())
		})
	}
	t.Run("a component becomes a job", func(t *testing.T) {
		in := steady()
		in.Desired.Components[1].Schedule, in.Desired.Components[1].DependsOn = "@daily", nil
		made, err := plan.Make(in)
		require.NoError(t, err)
		require.Equal(t, "=api@rift -web@rift", actions(made))
		require.Equal(t, plan.Create, made.Jobs[0].Action)
	})
	t.Run("an undeploy ends its runs", func(t *testing.T) {
		in := withBackup()
		in.Desired = plan.Undeployed(in.Release)
		made, err := plan.Make(in)
		require.NoError(t, err)
		require.True(t, made.EndsJobs())
		require.Empty(t, plan.Jobs(in.Desired, in.Release, made, func(servicedef.Component) string { return newDigest }))
	})
}

func TestTheJobsOfTheNextRelease(t *testing.T) {
	in := withBackup()
	digest := func(servicedef.Component) string { return newDigest }
	made, err := plan.Make(in)
	require.NoError(t, err)
	require.True(t, made.Unchanged())
	require.Equal(t, []fleet.Job{in.Release.Jobs["backup"]}, plan.Jobs(in.Desired, in.Release, made, digest), "a job that is kept keeps its image")
	in.Digests["r.example/api:v1"] = newDigest
	made, err = plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, newDigest, plan.Jobs(in.Desired, in.Release, made, digest)[0].Digest)
}

func TestANodeMustBeAbleToRunAJob(t *testing.T) {
	in := withBackup()
	in.Release.Jobs = nil
	in.Release.Draining = []string{"rift"}
	_, err := plan.Make(in)
	require.ErrorAs(t, err, new(*plan.DrainingNodeError))

	in.Release.Draining = nil
	node := in.Nodes["rift"]
	node.UnknownKeys = []string{"schedule"}
	in.Nodes["rift"] = node
	_, err = plan.Make(in)
	require.EqualError(t, err, "component backup sets schedule, which the mcp of node rift does not know")
}
