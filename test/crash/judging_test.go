package crash

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/test/crash/announce"
)

// good is the state after a second release, with nothing wrong.
func good() (rows, []found) {
	r := rows{
		Release: 2, Active: true,
		Deployments: []deployment{{Number: 1, Outcome: "succeeded", Result: "succeeded"}, {Number: 2, Outcome: "succeeded", Result: "succeeded"}},
		Components:  []member{{Name: "app", Container: "s1-app", Node: "rift", Image: "r/app:v2", Digest: "sha256:2", Deployment: 2, Active: true}},
		Ports:       []port{{Port: 20001, Node: "rift", Component: "app", Resting: true}, {Port: 20002, Node: "rift", Component: "app", Committed: true}},
	}
	return r, []found{{Node: "rift", ContainerInfo: runtime.ContainerInfo{
		Name: "s1-app", Image: "r/app@sha256:2", State: runtime.Running,
		Labels: map[string]string{runtime.LabelDeployment: "2"},
		Ports:  []servicedef.Port{{Host: 20002}},
	}}}
}

// A checker that finds nothing proves nothing: this shows what it finds.
func TestTheCheckerSees(t *testing.T) {
	tests := map[string]struct {
		harm func(*rows, *[]found)
		want string
	}{
		"nothing where nothing is wrong": {func(*rows, *[]found) {}, ""},
		"a container that is missing":    {func(_ *rows, c *[]found) { *c = nil }, "container rift/s1-app is missing"},
		"a container that has stopped":   {func(_ *rows, c *[]found) { (*c)[0].State = runtime.Stopped }, "container rift/s1-app is stopped"},
		"a container on another node":    {func(_ *rows, c *[]found) { (*c)[0].Node = "orion" }, "container rift/s1-app is missing"},
		"a container of another release": {func(_ *rows, c *[]found) { (*c)[0].Labels[runtime.LabelDeployment] = "1" }, "should be 2"},
		"a container of another image":   {func(_ *rows, c *[]found) { (*c)[0].Image = "r/app@sha256:1" }, "should be 2 of sha256:2"},
		"a container under a waiting name": {func(_ *rows, c *[]found) {
			*c = append(*c, found{Node: "rift", ContainerInfo: runtime.ContainerInfo{Name: "s1-app.prev"}})
		}, "container rift/s1-app.prev (, deployment ) belongs to no release"},
		"a port that podman does not publish": {func(_ *rows, c *[]found) { (*c)[0].Ports = nil }, "Postgres has the ports [rift:20002], and podman []"},
		"a port that is held for nothing":     {func(r *rows, _ *[]found) { r.Ports[0].Resting = false }, "port 20001 of app is held by no release"},
		"another outcome in the workflow":     {func(r *rows, _ *[]found) { r.Deployments[1].Result = "failed" }, `is "succeeded" in its row and "failed" in its workflow`},
		"a workflow that is open":             {func(r *rows, _ *[]found) { r.Deployments[1].Result = "open" }, `"open" in its workflow`},
		"a success that is not the release":   {func(r *rows, _ *[]found) { r.Release = 1 }, "the release is 1"},
		"an undo that was not completed":      {func(r *rows, _ *[]found) { r.Deployments[1].Undone = []string{"start x"} }, "left undone: start x"},
		"a service that is dirty":             {func(r *rows, _ *[]found) { r.Dirty = true }, "dirty"},
		"a failure with another cause": {func(r *rows, _ *[]found) {
			r.Deployments = append(r.Deployments, deployment{Number: 3, Outcome: "failed", Result: "failed", Kind: "Internal", Message: "?"})
		}, "its error is Internal"},
		"a service without a deployment": {func(r *rows, _ *[]found) { *r = rows{} }, "there is no deployment"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, containers := good()
			test.harm(&r, &containers)
			err := judgeAll(r, containers, allowed{causes: []string{"Unavailable"}})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestTheCheckerSeesWhatWasStartedByHand(t *testing.T) {
	started := time.Now()
	hand := runtime.ContainerInfo{ID: "1", Name: "s1-app", Image: "r/app@sha256:2", State: runtime.Running, Started: started}
	took := rows{Release: 1, Adopted: []adopted{{Container: "1", Deployment: 1}}}
	update := scenario{byHand: true, beforeVerb: []string{"adopt"}, then: v2}
	tests := map[string]struct {
		scenario scenario
		rows     rows
		harm     func(*[]found)
		want     string
		left     []string // containers that bear a deployment, or are still to be judged
	}{
		"taken":                {scenario{byHand: true}, took, func(*[]found) {}, "", []string{"s1-app:1"}},
		"not taken":            {scenario{byHand: true}, rows{}, func(*[]found) {}, "", nil},
		"replaced, gone":       {update, rows{Release: 2}, func(c *[]found) { *c = nil }, "", nil},
		"replaced, still here": {update, rows{Release: 2}, func(*[]found) {}, "", []string{"s1-app:"}},
		"gone":                 {scenario{byHand: true}, took, func(c *[]found) { *c = nil }, "is gone", nil},
		"gone after a failure": {update, took, func(c *[]found) { *c = nil }, "is gone", nil},
		"started again": {scenario{byHand: true}, took, func(c *[]found) { (*c)[0].Started = started.Add(time.Second) },
			"was started again", []string{"s1-app:"}},
		"renamed": {scenario{byHand: true}, rows{}, func(c *[]found) { (*c)[0].Name = "s1-app.prev" }, "was renamed to s1-app.prev", []string{"s1-app.prev:"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fc := &faultCase{scenario: test.scenario, service: "s1", byHand: hand}
			containers := []found{{Node: "rift", ContainerInfo: hand}}
			test.harm(&containers)
			containers, err := fc.byHandState(test.rows, containers)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
			var left []string
			for _, c := range containers {
				left = append(left, c.Name+":"+c.Labels[runtime.LabelDeployment])
			}
			require.Equal(t, test.left, left)
		})
	}
}

func TestTheMatrixIsTheSameEachTime(t *testing.T) {
	baseline := &faultCase{scenario: scenarios[0], seen: []point{{"CutOver", 1, before}, {"CutOver", 1, inside}, {"CutOver", 1, after}}}
	first, second := baseline.failing(), baseline.failing()
	require.NotEmpty(t, first)
	shuffle(first)
	shuffle(second)
	for i := range first {
		require.Equal(t, first[i].name(), second[i].name())
	}
}

func TestAStepIsCountedOnce(t *testing.T) {
	c := newCounter()
	count := func(activity, id string, local bool) int {
		return c.of(announce.Moment{Activity: activity, ID: id, Local: local})
	}
	require.Equal(t, 1, count("CutOver", "11", false))
	require.Equal(t, 2, count("CutOver", "12", false))
	require.Equal(t, 1, count("FinishDeployment", "12", true), "local activities have ids of their own")
	require.Equal(t, 1, count("FinishDeployment", "30", false), "an activity that follows a local one is the same step")
	require.Equal(t, 1, count("AllocatePorts", "3", true))
	require.Equal(t, 2, count("AllocatePorts", "4", true))
	require.Equal(t, 1, count("AllocatePorts", "3", true), "its moments are two")
}
