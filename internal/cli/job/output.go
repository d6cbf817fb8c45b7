package job

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows"
)

// output reads what runs print: through a gateway as streams of their nodes, or else by
// workflows.
type output struct {
	session *session.Session
	client  client.Client
	link    *session.Link // nil without a gateway
}

// read returns the run that is asked for, with lines of it.
func (o output) read(ctx context.Context, in workflows.JobLogsInput) (got workflows.JobLogsResult, err error) {
	in.Where = o.link != nil
	if err := o.session.Read(ctx, o.client, "job logs", workflows.JobLogsName, in, &got); err != nil || o.link == nil || got.Run.Container == "" {
		return got, err
	}
	task := fleet.RunTask(got.Run.RunID, got.Attempt, got.Run.Job)
	lines, last, err := o.link.TaskLines(ctx, in.Service, got.Run.Node, task, stream.LogsRequest{Lines: in.Lines})
	if err == nil && !last.Absent {
		got.Lines, got.Cut, got.Absent = lines, last.Cut, false
		return got, nil
	}
	if got.Run.Outcome == "" || ctx.Err() != nil {
		return got, err
	}
	in.Recorded = true
	var recorded workflows.JobLogsResult
	err = o.session.Read(ctx, o.client, "job logs", workflows.JobLogsName, in, &recorded)
	return recorded, err
}

// lookPause is the time between two looks at a run whose output is followed.
const lookPause = 20 * time.Second

// streamUntilEnd is untilEnd through a gateway.
func (f *follower) streamUntilEnd(ctx context.Context) {
	for ctx.Err() == nil {
		got, err := f.look(ctx)
		if err == nil && got.Run.Outcome != "" {
			return
		}
		if err == nil && got.Run.Container != "" {
			f.streamAttempt(ctx, got)
		}
		_ = pause(ctx, againPause) // the loop checks ctx
	}
}

// look reads the run, without what it has printed.
func (f *follower) look(ctx context.Context) (got workflows.JobLogsResult, err error) {
	in := f.in
	in.Where = true
	err = f.session.Read(ctx, f.client, "job logs", workflows.JobLogsName, in, &got)
	if err == nil {
		f.last = got.Run
	}
	return got, err
}

// streamAttempt shows what an attempt prints, until its program ends, the stream breaks or
// the run is at another attempt. It leaves out what was shown before.
func (f *follower) streamAttempt(ctx context.Context, of workflows.JobLogsResult) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := session.TaskOf(f.in.Service, of.Run.Node, of.Run.Task())
	h.Logs = &stream.LogsRequest{Follow: true, Beginning: true}
	call, err := f.link.Call(ctx, h)
	if err != nil {
		return // untilEnd tries again
	}
	defer call.Close()
	go func() {
		in := f.in
		in.Where = true
		for pause(ctx, lookPause) == nil {
			var now workflows.JobLogsResult
			err := f.session.Read(ctx, f.client, "job logs", workflows.JobLogsName, in, &now)
			if err == nil && (now.Run.Outcome != "" || now.Run.Attempts != of.Run.Attempts) {
				cancel()
			}
		}
	}()
	f.receive(call, of.Attempt)
}

// receive shows the lines of a stream that are not shown.
func (f *follower) receive(call *stream.Call, attempt int) {
	for seen := 0; ; {
		batch, _, err := call.NextOutput()
		if err != nil {
			return // the look at the run says what follows
		}
		for _, line := range session.LinesOf(batch) {
			if seen++; seen > f.show.shown[attempt] {
				f.show.print(line, line.Text)
				f.show.shown[attempt]++
			}
		}
	}
}
