package onnode

import (
	"context"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

// answerTime is how long the engine or the host may take for a question that an
// activity without heartbeats asks: less than an attempt of it, so that the error
// names what does not answer.
const answerTime = 8 * time.Second

// reportTime is what remains of an attempt to report that an answer is missing.
const reportTime = time.Second

// askEngine asks the node's engine a question, and names it if it does not answer.
func askEngine[T any](ctx context.Context, a *Node, question func(context.Context) (T, error)) (T, error) {
	return ask(ctx, question, func() *fault.Error {
		return fault.New(fault.Unavailable, "podman on %s does not answer", a.Name).
			WithHint("restart podman's API service on %s, for example with systemctl restart podman", a.Name)
	})
}

// ask asks a question. It does not wait for an answer that comes too late, and
// returns the fault of silence instead.
func ask[T any](ctx context.Context, question func(context.Context) (T, error), silence func() *fault.Error) (T, error) {
	limit := answerTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)-reportTime)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan attempt.Outcome[T], 1)
	go func() { done <- attempt.Try(func() (T, error) { return question(limited) }) }()
	var out attempt.Outcome[T]
	select {
	case out = <-done:
	case <-limited.Done():
		out.Err = limited.Err()
	}
	if out.Err != nil && limited.Err() != nil && ctx.Err() == nil {
		return out.Value, silence()
	}
	return out.Value, out.Err
}
