package onnode

import (
	"context"
	"fmt"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// recordedPause is how long an engine may take to record the end of a container after it
// shows that it does not run.
const recordedPause = time.Second

// collect returns how a task has ended, and keeps its output on the node.
func (a *Node) collect(ctx context.Context, in TaskSpec) (fleet.TaskResult, error) {
	found, err := a.taskContainer(ctx, a.Runtime, in)
	if fault.Is(err, fault.NotFound) {
		return lostTask(found, "its container is gone"), nil
	}
	if err != nil {
		return fleet.TaskResult{}, err
	}
	if result := ended(in, found); result.State == fleet.TaskLost { // or not recorded yet
		if err := attempt.Sleep(ctx, recordedPause); err != nil {
			return fleet.TaskResult{}, context.Cause(ctx)
		}
		if again, err := a.taskContainer(ctx, a.Runtime, in); err == nil {
			found = again
		}
	}
	result := ended(in, found)
	kept := lastLines{lines: maxKeptLines, bytes: MaxTaskLog}
	err = a.Runtime.Logs(ctx, found.ID, runtime.LogQuery{}, func(line runtime.LogLine) bool {
		kept.add(LogLine{LogLine: line})
		result.Lines++
		return true
	})
	switch {
	case ctx.Err() != nil:
		return result, context.Cause(ctx)
	case fault.Is(err, fault.Unavailable):
		return result, err
	case err != nil: // such as for a container that is half removed
		kept.add(note("(its output could not be read: %v)", err))
	}
	if a.TaskLogs != nil {
		output, err := keepable(keptOf{in.Component.Service, in.Task}, kept.kept)
		if err == nil {
			err = a.TaskLogs.Keep(in.Container(), output)
		}
		if err != nil {
			kept.add(note("(its output could not be kept on %s: %v)", a.Name, err))
		}
	}
	texts := make([]string, 0, len(kept.kept))
	for _, line := range kept.kept {
		texts = append(texts, line.Text)
	}
	result.Log = fleet.TaskTail(texts)
	return result.Checked(), nil
}

func note(format string, args ...any) LogLine {
	return LogLine{LogLine: runtime.LogLine{Time: time.Now(), Stream: "stderr", Text: fmt.Sprintf(format, args...)}}
}

// startSlack is how long after the end of a program that ended at once its start may be
// recorded: podman takes the time of a start when the program already runs.
const startSlack = 30 * time.Second

// ended returns how the task of a container that does not run has ended, without its
// output.
func ended(in TaskSpec, c runtime.ContainerInfo) fleet.TaskResult {
	result := fleet.TaskResult{ExitCode: c.ExitCode, Started: c.Started, Ended: c.Finished, Detail: c.End()}
	switch {
	case c.State != runtime.Stopped || c.Finished.IsZero() || c.Finished.Before(c.Started.Add(-startSlack)):
		result = lostTask(c, "its host was booted, or the engine lost it, while it ran")
	case in.timedOut(c, c.Finished):
		result.State, result.Detail = fleet.TaskTimedOut, fmt.Sprintf("was stopped after its timeout, %s", time.Duration(in.Timeout))
	case c.ExitCode == 0:
		result.State = fleet.TaskSucceeded
	default:
		result.State = fleet.TaskFailed
	}
	return result
}

func lostTask(c runtime.ContainerInfo, why string) fleet.TaskResult {
	return fleet.TaskResult{State: fleet.TaskLost, Started: c.Started, Detail: "was lost: " + why}
}
