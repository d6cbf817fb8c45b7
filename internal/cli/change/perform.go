package change

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows"
)

// perform starts an operation that builds nothing, or attaches to it, and shows how it
// ends. With wait, it ends when the containers that it replaces are gone.
func perform(ctx context.Context, s *session.Session, c client.Client, in workflows.Operation, wait bool) error {
	result, err := performed(ctx, s, c, in, wait)
	if err != nil {
		return err
	}
	return showResult(s, result)
}

// performed is perform, without showing the result.
func performed(ctx context.Context, s *session.Session, c client.Client, in workflows.Operation, wait bool) (result workflows.Result, err error) {
	run, err := startDeploy(ctx, s, c, in)
	if err != nil {
		return result, err
	}
	follower := s.Follow(c)
	follower.Word = in.Word()
	follower.ToEnd = wait
	return result, follower.Run(ctx, run, &result)
}
