package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// migrating is shop with a migration that needs api, in web's image.
func migrating(change ...func(*servicedef.Step)) workflows.DeployInput {
	in := shop()
	step := servicedef.Step{
		Name: "migrate", When: servicedef.StepBefore, Component: "web", Cmd: []string{"up"}, DependsOn: []string{"api"},
		Timeout: servicedef.Duration(time.Hour), StopTimeout: servicedef.Duration(10 * time.Second),
	}
	for _, f := range change {
		f(&step)
	}
	in.Definition.Steps = []servicedef.Step{step}
	return in
}

func after(step *servicedef.Step) { step.When, step.DependsOn = servicedef.StepAfter, nil }

// ran are the calls that the migration's run consists of.
func ran(state fleet.TaskState) []string {
	return []string{
		"RecordTask migrate 1 running", "StartTask migrate r.example/web@sha256:web1 [up]", "AwaitTask migrate",
		"RecordTask migrate 1 " + string(state), "RemoveTask migrate",
	}
}

func concat(lists ...[]string) (all []string) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

var failed = fleet.TaskResult{State: fleet.TaskFailed, ExitCode: 3, Detail: "exited with code 3", Log: []string{"no such column"}}

func TestAStepRunsWhenWhatItDependsOnIsHealthyAndBeforeTheRest(t *testing.T) {
	s := newHarness(t)
	result := s.deploy(t, migrating())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, concat(
		[]string{"AllocatePorts api", "RunContainer shop-api r.example/api@sha256:api1"},
		ran(fleet.TaskSucceeded),
		[]string{"RunContainer shop-web r.example/web@sha256:web1", "CutOver shop-api,shop-web", "CommitRelease api/1,web/1", "FinishDeployment succeeded"},
	), s.changes())
	require.Len(t, result.Steps, 1)
	require.Equal(t, fleet.TaskSucceeded, result.Steps[0].State)
}

func TestAStepNamesTheContainersThatItNeeds(t *testing.T) {
	released := []onnode.Need{{Container: "shop-api"}}
	for name, c := range map[string]struct {
		released bool
		boot     string
		change   func(*servicedef.Step)
		want     []onnode.Need
	}{
		"new ones":                              {boot: "first", want: []onnode.Need{{Container: "shop-api.next", Boot: "first"}}},
		"no new ones of which no boot is known": {},
		"those of the release":                  {released: true, boot: "first", want: released},
		"those that are cut over":               {boot: "first", change: func(step *servicedef.Step) { step.When = servicedef.StepAfter }, want: released},
		"none, as it depends on none":           {boot: "first", change: after},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.booted = map[string]string{"rift": c.boot}
			in := migrating(func(step *servicedef.Step) {
				step.Node = "rift"
				if c.change != nil {
					c.change(step)
				}
			})
			if c.released {
				s.released(in)
				in.Definition.Components[1].Env = map[string]string{"A": "b"}
			}
			require.Nil(t, s.deploy(t, in).Error)
			require.Equal(t, c.want, s.needs)
		})
	}
}

func TestWhatABootHasEndedRunsAgainBeforeTheStepThatNeedsIt(t *testing.T) {
	s := newHarness(t)
	s.booted = map[string]string{"rift": "first"}
	s.fail = func(call string, _ int32) error {
		if strings.HasPrefix(call, "RecordTask") {
			s.booted["rift"] = "second"
		}
		return nil
	}
	result := s.deploy(t, migrating(func(step *servicedef.Step) { step.Node = "rift" }))
	require.Equal(t, workflows.Succeeded, result.Outcome)
	run, start := "RunContainer shop-api r.example/api@sha256:api1", "StartTask migrate r.example/web@sha256:web1 [up]"
	require.Equal(t, []string{"AllocatePorts api", run, "RecordTask migrate 1 running", start, run, start, "AwaitTask migrate"}, s.changes()[:7])
}

func TestAStepThatFailsPutsEverythingBack(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.ends = []fleet.TaskResult{failed}
	in := migrating()
	in.Force = true
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, fault.Unhealthy, result.Error.Kind)
	require.Equal(t, "step migrate exited with code 3", result.Error.Message)
	require.Equal(t, []string{"no such column"}, result.Error.Log)
	require.Equal(t, []string{"rift", "migrate"}, []string{result.Error.Node, result.Error.Component})
	calls := strings.Join(s.changes(), "\n")
	require.NotContains(t, calls, "RunContainer shop-web")
	require.NotContains(t, calls, "StopContainer")
	require.Regexp(t, `(?s)RecordTask migrate 1 failed\nRemoveTask migrate\nRestore rift remove\[shop-migrate.run-[0-9a-f]* shop-api.next\].*FinishDeployment failed`, calls)
	require.Equal(t, []fleet.FailedStep{{Node: "rift", Step: "migrate", Detail: "exited with code 3"}}, s.finished.FailedSteps)
}

func TestAStepIsRunAgainAsOftenAsItSays(t *testing.T) {
	lost := fleet.TaskResult{State: fleet.TaskLost, Detail: "was lost: its host was booted"}
	t.Run("until it succeeds", func(t *testing.T) {
		s := newHarness(t)
		s.ends = []fleet.TaskResult{lost, failed}
		result := s.deploy(t, migrating(func(step *servicedef.Step) { step.Retries = 2 }))
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Len(t, result.Steps, 3)
		require.Equal(t, []int{1, 2, 3}, []int{result.Steps[0].Try, result.Steps[1].Try, result.Steps[2].Try})
	})
	t.Run("and not once more", func(t *testing.T) {
		s := newHarness(t)
		s.ends = []fleet.TaskResult{failed, failed}
		result := s.deploy(t, migrating(func(step *servicedef.Step) { step.Retries = 1 }))
		require.Equal(t, "step migrate exited with code 3, as run 2 of 2", result.Error.Message)
	})
	t.Run("one that was lost is not without that", func(t *testing.T) {
		s := newHarness(t)
		s.ends = []fleet.TaskResult{lost}
		result := s.deploy(t, migrating())
		require.Equal(t, fault.Unavailable, result.Error.Kind)
		require.Equal(t, "step migrate was lost: its host was booted", result.Error.Message)
		require.Contains(t, result.Error.Hint, "retries")
		require.Len(t, result.Steps, 1)
	})
}

func TestACancelledStepIsEndedBeforeTheUndo(t *testing.T) {
	for name, change := range map[string]func(*servicedef.Step){"before the start": func(*servicedef.Step) {}, "after the release": after} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.released(shop())
			s.fail = func(call string, _ int32) error {
				if strings.HasPrefix(call, "AwaitTask") {
					s.env.CancelWorkflow()
					return fault.New(fault.Unavailable, "it goes on")
				}
				return nil
			}
			in := migrating(change)
			in.Force = true
			result := s.deploy(t, in)
			require.Equal(t, workflows.Cancelled, result.Outcome)
			require.False(t, result.Dirty)
			undo := map[string]string{"before the start": "Restore rift", "after the release": "Survey rift"}[name]
			require.Regexp(t, `(?s)StopTask migrate\nRecordTask migrate 1 stopped\nRemoveTask migrate\n`+undo+`.*FinishDeployment cancelled`, strings.Join(s.calls, "\n"))
			require.Empty(t, s.finished.FailedSteps)
		})
	}
}

func TestAStepAfterTheReleaseIsTheLastTrial(t *testing.T) {
	t.Run("that succeeds", func(t *testing.T) {
		s := newHarness(t)
		require.Equal(t, workflows.Succeeded, s.deploy(t, migrating(after)).Outcome)
		require.Equal(t, concat([]string{"CutOver shop-api,shop-web"}, ran(fleet.TaskSucceeded), []string{"CommitRelease api/1,web/1", "FinishDeployment succeeded"}), s.changes()[3:])
	})
	t.Run("that fails", func(t *testing.T) {
		s := newHarness(t)
		s.ends = []fleet.TaskResult{failed}
		result := s.deploy(t, migrating(after))
		require.Equal(t, workflows.Failed, result.Outcome)
		require.NotContains(t, strings.Join(s.changes(), "\n"), "CommitRelease")
		require.False(t, result.Dirty)
	})
}

func TestAStepWhoseNodeStaysAwayLeavesTheServiceDirty(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	s.fail = func(call string, _ int32) error {
		for _, activity := range []string{"AwaitTask", "StopTask", "Restore"} {
			if strings.HasPrefix(call, activity) {
				return fault.New(fault.Unavailable, "node rift is away")
			}
		}
		return nil
	}
	in := migrating()
	in.Force = true
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, fleet.TaskLost, result.Steps[0].State)
	require.NotContains(t, strings.Join(s.changes(), "\n"), "RemoveTask")
}

func TestWhatRunsSteps(t *testing.T) {
	verb := func(verb fleet.Verb) func(*workflows.DeployInput) {
		return func(in *workflows.DeployInput) { in.Verb, in.Force = verb, true }
	}
	tests := []struct {
		name  string
		in    func(*workflows.DeployInput)
		steps int
	}{
		{"a deploy that changes something", verb(fleet.VerbDeploy), 1},
		{"not one that changes nothing", func(*workflows.DeployInput) {}, 0},
		{"not a rollback", func(in *workflows.DeployInput) { in.Verb = fleet.VerbRollback; in.Force = true }, 0},
		{"a rollback, where the step says so", func(in *workflows.DeployInput) {
			in.Verb, in.Force, in.Definition.Steps[0].Rollback = fleet.VerbRollback, true, true
		}, 1},
		{"not what the monitor deploys again", func(in *workflows.DeployInput) {
			in.Verb, in.Force, in.Definition.Steps[0].Rollback = fleet.VerbReconcile, true, true
		}, 0},
		{"not a restart", verb(fleet.VerbRestart), 0},
		{"not a stop", verb(fleet.VerbStop), 0},
		{"not a start", verb(fleet.VerbStart), 0},
		{"not an undeploy", verb(fleet.VerbUndeploy), 0},
		{"not one that stops the service", func(in *workflows.DeployInput) { in.Definition.Active = false }, 0},
		{"a deploy of its component", func(in *workflows.DeployInput) { in.Only, in.Force = []string{"web"}, true }, 1},
		{"not one of another component", func(in *workflows.DeployInput) { in.Only, in.Force = []string{"api"}, true }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newHarness(t)
			s.released(migrating())
			in := migrating()
			tt.in(&in)
			require.Nil(t, s.deploy(t, in).Error)
			require.Equal(t, tt.steps, strings.Count(strings.Join(s.calls, "\n"), "StartTask"), s.calls)
		})
	}
}

func TestAStepNeedsWhatAComponentNeeds(t *testing.T) {
	t.Run("its secrets", func(t *testing.T) {
		s := newHarness(t)
		result := s.deploy(t, migrating(func(step *servicedef.Step) { step.Secrets = []servicedef.Secret{{Source: "admin"}} }))
		require.Contains(t, result.Error.Message, "component migrate needs the secret admin, which podman on node rift does not have")
	})
	t.Run("its image", func(t *testing.T) {
		s := newHarness(t)
		result := s.deploy(t, migrating(func(step *servicedef.Step) { step.Image = "r.example/tool:v1" }))
		require.Contains(t, result.Error.Message, "image r.example/tool:v1 is not in the image registry")
	})
	t.Run("its node", func(t *testing.T) {
		s := newHarness(t)
		s.nodes["orion"] = nil
		result := s.deploy(t, migrating(func(step *servicedef.Step) { step.Node = "orion" }))
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Contains(t, s.calls, "Survey orion")
	})
	t.Run("a worker that knows steps", func(t *testing.T) {
		s := newHarness(t)
		s.unknown = servicedef.KeySteps
		result := s.deploy(t, migrating())
		require.Contains(t, result.Error.Message, "component migrate sets steps, which the mcp of node rift does not know")
	})
}
