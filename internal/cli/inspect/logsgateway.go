package inspect

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// connected is a gateway, as a command reaches it.
type connected struct {
	session *session.Session
	client  client.Client
	link    *session.Link
}

func (c connected) where(ctx context.Context, in reads.LogsInput) (reads.LogsResult, error) {
	return c.session.Where(ctx, c.client, "logs", in)
}

func (c connected) deployed(ctx context.Context, service string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, session.ConnectTimeout)
	defer cancel()
	described, err := c.client.DescribeWorkflowExecution(limited, workflows.DeployID(service), "")
	if errors.As(err, new(*serviceerror.NotFound)) {
		return "none", nil // it is not retained any more
	}
	if err != nil {
		return "", err
	}
	info := described.GetWorkflowExecutionInfo()
	outcome := info.GetSearchAttributes().GetIndexedFields()[workflows.SearchOutcome.GetName()]
	return fmt.Sprintf("%s %s %s", info.GetExecution().GetRunId(), info.GetStatus(), outcome.GetData()), nil
}

func (c connected) call(ctx context.Context, h stream.Header) (*stream.Call, error) {
	return c.link.Call(ctx, h)
}

func (c connected) lines(ctx context.Context, service, node string, task fleet.Task, of stream.LogsRequest) ([]reads.LogLine, stream.Note, error) {
	return c.link.TaskLines(ctx, service, node, task, of)
}
