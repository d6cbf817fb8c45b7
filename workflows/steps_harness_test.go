package workflows_test

import (
	"context"
	"fmt"
	"slices"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
)

// registerTasks registers the activities of tasks. Ends are the results of their runs,
// in order; after these each one succeeds.
func (s *harness) registerTasks() {
	add := func(name string, run any) {
		s.env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
	add("StartTask", func(ctx context.Context, in onnode.TaskSpec) (onnode.StartTaskResult, error) {
		s.countSealed("StartTask", in)
		s.mu.Lock()
		s.needs = in.Needs
		s.mu.Unlock()
		boot := s.booted[in.Component.Definition.Node]
		ended := slices.ContainsFunc(in.Needs, func(n onnode.Need) bool { return n.Boot != "" && n.Boot != boot })
		return onnode.StartTaskResult{Container: in.Container(), Boot: boot, Booted: ended}, s.call(ctx, fmt.Sprintf("%s %s %v", in.Name, in.Component.Image, in.Component.Definition.Cmd))
	})
	add("AwaitTask", func(ctx context.Context, in onnode.TaskSpec) (fleet.TaskResult, error) {
		s.countSealed("AwaitTask", in)
		if err := s.call(ctx, in.Name); err != nil {
			return fleet.TaskResult{}, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.ends) == 0 {
			return fleet.TaskResult{State: fleet.TaskSucceeded, Detail: "exited with code 0"}, nil
		}
		end := s.ends[0]
		s.ends = s.ends[1:]
		return end, nil
	})
	add("StopTask", func(ctx context.Context, in onnode.TaskSpec) (fleet.TaskResult, error) {
		return fleet.TaskResult{State: fleet.TaskStopped, Detail: "was stopped"}, s.call(ctx, in.Name)
	})
	add("RemoveTask", func(ctx context.Context, in onnode.TaskSpec) error {
		s.countSealed("RemoveTask", in)
		return s.call(ctx, in.Name)
	})
	add("RecordTask", func(ctx context.Context, in fleet.TaskRecord) error {
		return s.call(ctx, fmt.Sprintf("%s %d %s", in.Name, in.Try, in.State))
	})
}
