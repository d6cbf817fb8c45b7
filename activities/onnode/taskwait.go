package onnode

import (
	"context"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode/health"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// longestTaskPause is the longest pause between two checks of a task that runs.
const longestTaskPause = time.Second

// AwaitTask waits for the end of a task that was started, and reports what it prints. One
// that takes longer than its timeout is stopped. Its output is kept on the node; the
// container stays until RemoveTask. A task whose container is gone, or which a boot has
// ended, is lost: that is a result, not an error.
func (a *Node) AwaitTask(ctx context.Context, in TaskSpec) (fleet.TaskResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (fleet.TaskResult, error) {
		result, err := a.awaitTask(ctx, r, in)
		if err != nil {
			err = a.placed(err, in.Name)
		}
		return result, err
	})
}

func (a *Node) awaitTask(ctx context.Context, r *attempt.Reporter, in TaskSpec) (fleet.TaskResult, error) {
	following, stop := context.WithCancel(ctx)
	var followed sync.WaitGroup
	defer followed.Wait()
	defer stop()
	r.Set("run", in.Container())
	followed.Go(func() { a.followTask(following, r, in) })
	for pause := health.FirstPause; ; pause = min(pause+pause/2, longestTaskPause) {
		if err := a.passTask(in); err != nil {
			return fleet.TaskResult{}, err
		}
		found, err := a.taskContainer(ctx, a.Runtime, in)
		switch {
		case ctx.Err() != nil:
			return fleet.TaskResult{}, context.Cause(ctx)
		case fault.Is(err, fault.NotFound):
			return lostTask(found, "its container is gone"), nil
		case err != nil:
			return fleet.TaskResult{}, err
		case !found.State.Alive():
			return a.collect(ctx, in)
		case in.timedOut(found, time.Now()):
			r.Set("stop", in.Container()+", which has run for "+time.Duration(in.Timeout).String())
			attempt.Allow(ctx, found.StopTimeout)
			if err := a.Runtime.Stop(ctx, nameOf(found), found.StopTimeout); err != nil {
				return fleet.TaskResult{}, err
			}
			continue
		}
		if err := attempt.Sleep(ctx, pause); err != nil {
			return fleet.TaskResult{}, context.Cause(ctx)
		}
	}
}

// followTask reports what a task prints, until its context ends. Output that cannot be
// read is not reported: the wait for the end shows what the engine lacks.
func (a *Node) followTask(ctx context.Context, r *attempt.Reporter, in TaskSpec) {
	var mark runtime.LogMark
	var output attempt.TaskOutput
	for ctx.Err() == nil {
		_ = mark.Read(ctx, a.Runtime, in.Container(), true, func(line runtime.LogLine) bool {
			mark.Pass(line)
			output = output.With(line.Text)
			printed := output
			r.Report(attempt.Progress{Phase: "run", Detail: fleet.Text(line.Text, attempt.MaxOutputLine), Output: &printed})
			return ctx.Err() == nil
		})
		_ = attempt.Sleep(ctx, longestTaskPause) // the loop checks ctx
	}
}
