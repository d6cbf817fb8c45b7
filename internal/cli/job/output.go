package job

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// output reads what runs print: through a gateway as streams of their nodes, or else by
// workflows.
type output struct {
	session *session.Session
	client  client.Client
	link    *session.Link // nil without a gateway
}

// read returns the run that is asked for, with lines of it.
func (o output) read(ctx context.Context, in reads.JobLogsInput) (got reads.JobLogsResult, err error) {
	in.Where = o.link != nil
	if err := o.session.Read(ctx, o.client, "job logs", reads.JobLogsName, in, &got); err != nil || o.link == nil || got.Run.Container == "" {
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
	var recorded reads.JobLogsResult
	err = o.session.Read(ctx, o.client, "job logs", reads.JobLogsName, in, &recorded)
	return recorded, err
}
