package job

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// endedPause is the time between two reads of a run whose output is followed.
const endedPause = 20 * time.Second

// streamUntilEnd is untilEnd through a gateway.
func (f *follower) streamUntilEnd(ctx context.Context) {
	for ctx.Err() == nil {
		got, err := f.poll(ctx)
		if err == nil && got.Run.Outcome != "" {
			return
		}
		if err == nil && got.Run.Container != "" {
			f.streamAttempt(ctx, got)
		}
		_ = pause(ctx, againPause) // the loop checks ctx
	}
}

// poll reads the run, without what it has printed.
func (f *follower) poll(ctx context.Context) (got reads.JobLogsResult, err error) {
	in := f.in
	in.Where = true
	err = f.session.Read(ctx, f.client, "job logs", reads.JobLogsName, in, &got)
	if err == nil {
		f.last = got.Run
	}
	return got, err
}

// streamAttempt shows what an attempt prints, until its program ends, the stream breaks or
// the run is at another attempt. It leaves out what was shown before.
func (f *follower) streamAttempt(ctx context.Context, of reads.JobLogsResult) {
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
		for pause(ctx, endedPause) == nil {
			var now reads.JobLogsResult
			err := f.session.Read(ctx, f.client, "job logs", reads.JobLogsName, in, &now)
			if err == nil && (now.Run.Outcome != "" || now.Run.Attempts != of.Run.Attempts) {
				cancel()
			}
		}
	}()
	f.receive(call, of.Attempt)
}

// receive shows the lines of a stream that were not shown yet.
func (f *follower) receive(call *stream.Call, attempt int) {
	for seen := 0; ; {
		batch, _, err := call.NextOutput()
		if err != nil {
			return // the next read of the run says what follows
		}
		for _, line := range session.LinesOf(batch) {
			if seen++; seen > f.show.shown[attempt] {
				f.show.print(line, line.Text)
				f.show.shown[attempt]++
			}
		}
	}
}
