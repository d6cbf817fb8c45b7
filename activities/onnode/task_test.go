package onnode_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// migrate is the step "migrate" of deployment n, in its run.
func migrate(n int, id string, cmd ...string) onnode.TaskSpec {
	return onnode.TaskSpec{
		Task: fleet.Task{ID: id, Kind: fleet.StepTask, Name: "migrate"},
		Component: activities.ComponentSpec{
			Service: "shop", Deployment: n, Run: fmt.Sprintf("run-%d", n), Image: image, Spec: "spec",
			Definition: servicedef.Component{Name: "migrate", Cmd: cmd, Restart: "always", StopTimeout: dur(3 * time.Second)},
		},
	}
}

// taskLogs keeps outputs in memory.
type taskLogs struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (l *taskLogs) Keep(container string, output []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[container] = output
	return nil
}

func (l *taskLogs) Read(container string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	output, found := l.kept[container]
	if !found {
		return nil, fault.New(fault.NotFound, "no output of %s", container)
	}
	return output, nil
}

func newTaskHost(t *testing.T) *host {
	h := newHost(t)
	h.TaskLogs = &taskLogs{kept: map[string][]byte{}}
	return h
}

// startTask starts a task, which must succeed.
func (h *host) startTask(t *testing.T, in onnode.TaskSpec) {
	t.Helper()
	require.Nil(t, h.do(h.StartTask, in))
}

// end returns the result of an activity that ends a task.
func (h *host) end(t *testing.T, activity any, in onnode.TaskSpec) fleet.TaskResult {
	t.Helper()
	value, err := h.env.ExecuteActivity(activity, in)
	require.NoError(t, err)
	var result fleet.TaskResult
	require.NoError(t, value.Get(&result))
	return result
}

// starts counts how often the engine was asked to run a container.
func (h *host) starts() int {
	n := 0
	for _, call := range h.engine.Calls() {
		if call.Method == "Run" || call.Method == "Start" {
			n++
		}
	}
	return n
}

func TestATaskRunsToItsEndAndLeavesItsOutput(t *testing.T) {
	tests := []struct {
		name   string
		cmd    []string
		state  fleet.TaskState
		code   int
		detail string
		log    []string
	}{
		{"that is 0", []string{"/app", "echo", "one", "two"}, fleet.TaskSucceeded, 0, "exited with code 0", []string{"one", "two"}},
		{"that is not", []string{"/app", "exit", "3"}, fleet.TaskFailed, 3, "exited with code 3", []string{"exiting with 3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newTaskHost(t)
			in := migrate(1, "a", tt.cmd...)
			h.startTask(t, in)
			result := h.end(t, h.AwaitTask, in)
			require.Equal(t, tt.state, result.State)
			require.Equal(t, tt.code, result.ExitCode)
			require.Equal(t, tt.detail, result.Detail)
			require.Equal(t, tt.log, result.Log)
			require.Equal(t, len(tt.log), result.Lines)
			require.False(t, result.Ended.IsZero())

			require.Nil(t, h.do(h.RemoveTask, in))
			require.Nil(t, h.do(h.RemoveTask, in), "a second time")
			require.Empty(t, h.names(t))
			value, err := h.env.ExecuteActivity(h.TaskLog, onnode.TaskLogInput{Service: "shop", Task: in.Task, Lines: 1, Bytes: 1000})
			require.NoError(t, err)
			var kept onnode.TaskLogResult
			require.NoError(t, value.Get(&kept))
			require.Len(t, kept.Lines, 1)
			require.Equal(t, tt.log[len(tt.log)-1], kept.Lines[0].Text)
		})
	}
}

func TestATaskWaitsForWhatItNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		back time.Duration // after which what it needs runs again
		want fault.Kind
	}{
		"that runs":               {},
		"that a boot has ended":   {back: 20 * time.Second},
		"that stays where it was": {back: time.Hour, want: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTaskHost(t)
				require.Nil(t, h.run(api(1, func(c *activities.ComponentSpec) { c.Run = "run-1" })))
				if c.back > 0 {
					require.NoError(t, h.engine.Stop(t.Context(), "shop-api.next", 0))
				}
				back := time.AfterFunc(c.back, func() { _ = h.engine.Start(context.Background(), "shop-api.next") })
				defer back.Stop()
				in := migrate(1, "a", "/app", "echo")
				in.Needs = []onnode.Need{{Container: "shop-api.next"}}
				began := time.Now()
				f := h.do(h.StartTask, in)
				if c.want == "" {
					require.Nil(t, f)
					require.InDelta(t, c.back, time.Since(began), float64(2*time.Second))
					return
				}
				require.Equal(t, c.want, f.Kind)
				require.Equal(t, "step migrate waits for container shop-api.next, which does not run", f.Message)
				require.NotContains(t, h.names(t), in.Container())
			})
		})
	}
}

func TestATaskIsNotStartedWhereABootHasEndedWhatItNeeds(t *testing.T) {
	h := newTaskHost(t)
	h.Machine.Boot = "first"
	in := migrate(1, "a", "/app", "echo")
	in.Needs = []onnode.Need{{Container: "shop-api.next", Boot: "first"}}
	start := func() (result onnode.StartTaskResult) {
		value, err := h.env.ExecuteActivity(h.StartTask, in)
		require.NoError(t, err)
		require.NoError(t, value.Get(&result))
		return result
	}
	h.Machine.Boot = "second"
	require.Equal(t, onnode.StartTaskResult{Container: in.Container(), Boot: "second", Booted: true}, start())
	require.Empty(t, h.names(t))
	in.Needs[0].Boot = "second"
	require.False(t, start().Booted)
	require.Len(t, h.names(t), 1)
	h.Machine.Boot = "third"
	require.False(t, start().Booted, "the task has run")
}

func TestTheContainerOfATaskSaysWhatItIs(t *testing.T) {
	h := newTaskHost(t)
	in := migrate(7, "a", "/app", "echo")
	in.Component.Routes = []activities.RouteSpec{{Name: "rest", HostPort: 20000, ContainerPort: 20000}}
	h.startTask(t, in)
	require.Len(t, h.specs, 1)
	spec := h.specs[0]
	require.True(t, strings.HasPrefix(spec.Name, "shop-migrate.run-"), spec.Name)
	require.Equal(t, "no", spec.Restart)
	require.Empty(t, spec.Ports)
	require.Equal(t, map[string]string{
		runtime.LabelService: "shop", runtime.LabelDeployment: "7", runtime.LabelRun: "run-7", runtime.LabelSpec: "spec",
		runtime.LabelTask: "a", runtime.LabelTaskKind: "step", runtime.LabelTaskName: "migrate",
	}, spec.Labels)
	require.NotEqual(t, spec.Name, migrate(7, "b").Container())
}

func TestATaskThatHasRunIsNeverStartedAgain(t *testing.T) {
	for _, state := range []string{"runs", "has ended"} {
		t.Run("one that "+state, func(t *testing.T) {
			h := newTaskHost(t)
			in := migrate(1, "a", "serve")
			h.startTask(t, in)
			if state == "has ended" {
				h.engine.Exit(in.Container(), 0)
			}
			h.restartWorker()
			h.startTask(t, in)
			require.Equal(t, 1, h.starts())
		})
	}
}

func TestAnAttemptFindsTheTaskOfTheOneThatDied(t *testing.T) {
	h := newTaskHost(t)
	in := migrate(1, "a", "serve")
	h.startTask(t, in)
	h.restartWorker()
	h.startTask(t, in)
	go h.engine.Exit(in.Container(), 4)
	require.Equal(t, 4, h.end(t, h.AwaitTask, in).ExitCode)
	require.Equal(t, 4, h.end(t, h.AwaitTask, in).ExitCode, "its answer was lost")
}

func TestATaskWhoseEndWasNotSeenIsLost(t *testing.T) {
	t.Run("its container is gone", func(t *testing.T) {
		h := newTaskHost(t)
		in := migrate(1, "a", "serve")
		h.startTask(t, in)
		require.NoError(t, h.engine.Remove(t.Context(), in.Container()))
		require.Equal(t, fleet.TaskLost, h.end(t, h.AwaitTask, in).State)
	})
	t.Run("its host was booted while it ran", func(t *testing.T) {
		h := newTaskHost(t)
		in := migrate(1, "a", "serve")
		h.startTask(t, in)
		h.Runtime = booted{h.Runtime}
		h.restartWorker()
		h.startTask(t, in)
		require.Equal(t, 1, h.starts())
		result := h.end(t, h.AwaitTask, in)
		require.Equal(t, fleet.TaskLost, result.State)
		require.Contains(t, result.Detail, "booted")
	})
}

// booted is an engine after a boot of its host: podman 4.3 shows containers that ran as
// created, with the code 0.
type booted struct{ runtime.Runtime }

func (b booted) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	info, err := b.Runtime.Inspect(ctx, name)
	info.State, info.ExitCode, info.Finished = runtime.Created, 0, time.Time{}
	return info, err
}

// hasty is an engine that records the start of a program after its end.
type hasty struct{ runtime.Runtime }

func (e hasty) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	info, err := e.Runtime.Inspect(ctx, name)
	info.Finished = info.Started.Add(-time.Second)
	return info, err
}

func TestATaskThatEndsAtOnceIsNotLost(t *testing.T) {
	h := newTaskHost(t)
	in := migrate(1, "a", "/app", "exit", "3")
	h.startTask(t, in)
	h.Runtime = hasty{h.Runtime}
	require.Equal(t, fleet.TaskFailed, h.end(t, h.AwaitTask, in).State)
}

func TestATaskThatTakesTooLongIsStopped(t *testing.T) {
	h := newTaskHost(t)
	in := migrate(1, "a", "serve")
	in.Timeout = dur(50 * time.Millisecond)
	h.startTask(t, in)
	result := h.end(t, h.AwaitTask, in)
	require.Equal(t, fleet.TaskTimedOut, result.State)
	require.Equal(t, "was stopped after its timeout, 50ms", result.Detail)
	require.Equal(t, 3*time.Second, h.stops[in.Container()])
}

func TestATaskThatWasStoppedIsNotStarted(t *testing.T) {
	t.Run("that was running", func(t *testing.T) {
		h := newTaskHost(t)
		in := migrate(1, "a", "serve")
		h.startTask(t, in)
		require.Equal(t, fleet.TaskStopped, h.end(t, h.StopTask, in).State)
		require.Equal(t, 3*time.Second, h.stops[in.Container()])
		h.startTask(t, in)
		require.Equal(t, 1, h.starts(), "it is found, and stays stopped")
		require.Nil(t, h.do(h.RemoveTask, in))
		require.Equal(t, fault.Conflict, h.do(h.StartTask, in).Kind)
	})
	t.Run("that an attempt is yet to start", func(t *testing.T) {
		h := newTaskHost(t)
		in := migrate(1, "a", "serve")
		require.Equal(t, fleet.TaskStopped, h.end(t, h.StopTask, in).State)
		require.Equal(t, fault.Conflict, h.do(h.StartTask, in).Kind)
		require.Zero(t, h.starts())
	})
	t.Run("a job is closed alone", func(t *testing.T) {
		h := newTaskHost(t)
		in := migrate(1, "a", "serve")
		in.Kind = fleet.JobTask
		require.Equal(t, fleet.TaskStopped, h.end(t, h.StopTask, in).State)
		require.Equal(t, fault.Conflict, h.do(h.StartTask, in).Kind)
		in.ID = "b"
		h.startTask(t, in)
	})
}

func TestAStepEndsThatOfAnotherRunFirst(t *testing.T) {
	h := newTaskHost(t)
	former := migrate(1, "a", "serve")
	h.startTask(t, former)
	next := migrate(2, "b", "serve")
	h.startTask(t, next)
	require.Equal(t, []string{next.Container() + ":2:running"}, h.names(t))
	require.Equal(t, fault.Conflict, h.do(h.StartTask, former).Kind)
	require.Equal(t, fault.Conflict, h.do(h.AwaitTask, former).Kind)
}

func TestAJobIsFencedByNoDeployment(t *testing.T) {
	h := newTaskHost(t)
	in := migrate(1, "a", "serve")
	in.Kind = fleet.JobTask
	require.Nil(t, h.run(api(5)))
	h.startTask(t, in)
	require.Nil(t, h.run(api(6)))
	go h.engine.Exit(in.Container(), 0)
	require.Equal(t, fleet.TaskSucceeded, h.end(t, h.AwaitTask, in).State)
}

func TestATaskTakesNoContainerThatIsNotItsOwn(t *testing.T) {
	h := newTaskHost(t)
	in := migrate(1, "a", "serve")
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: in.Container(), Image: image, Labels: map[string]string{runtime.LabelService: "shop"}})
	require.NoError(t, err)
	for _, activity := range []any{h.StartTask, h.AwaitTask, h.StopTask, h.RemoveTask} {
		require.Equal(t, fault.Conflict, h.do(activity, in).Kind)
	}
	require.Len(t, h.names(t), 1)
}
