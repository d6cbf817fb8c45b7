package job

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows/reads"
)

// followWait is how long one read of a follow waits for lines.
const followWait = 20 * time.Second

// untilEnd shows what the run prints, until it ends or ctx does. It leaves out what it
// cannot read in time, which rest shows.
func (f *follower) untilEnd(ctx context.Context) {
	if f.link != nil {
		f.streamUntilEnd(ctx)
		return
	}
	in := f.in
	in.Wait = followWait
	for ctx.Err() == nil {
		var got reads.JobLogsResult
		err := f.session.Read(ctx, f.client, "job logs", reads.JobLogsName, in, &got, session.Within(in.Wait))
		if err != nil {
			_ = pause(ctx, againPause) // the loop checks ctx
			continue
		}
		if f.last = got.Run; got.Run.Outcome != "" {
			return
		}
		if got.Run.Container == "" || got.Absent {
			_ = pause(ctx, againPause) // it has not been started
			continue
		}
		in.Marks = got.Marks
		for _, l := range got.Lines {
			f.show.print(l, l.Text)
			f.show.shown[got.Attempt]++
		}
	}
}
