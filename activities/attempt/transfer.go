package attempt

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// shortestTransfer is the least time of one attempt of a push or a pull.
const shortestTransfer = time.Minute

// Transfer runs one attempt of a push or a pull. It gets half of the time that
// is left until the deadline: one that hangs, for example after a connection was lost
// without notice, is then followed by another, and one that is only slow has had the
// larger part. Layers that have arrived are not sent again.
func Transfer(ctx context.Context, verb, image, place string, run func(ctx context.Context) error) error {
	bounded, limit := ctx, time.Duration(0)
	if deadline, bound := ctx.Deadline(); bound {
		limit = max(shortestTransfer, time.Until(deadline)/2)
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err := run(bounded)
	registry := servicedef.ImageRegistry(image)
	switch {
	case err != nil && ctx.Err() == nil && bounded.Err() != nil:
		return fault.New(fault.Unavailable, "%s %s: not done after %s, half of the time that was left", verb, image, limit.Round(time.Second)).
			WithHint("check that %s can reach image registry %s; a slow connection may need a longer --deadline", place, registry)
	case fault.Is(err, fault.Unauthorized):
		return fault.Of(err).WithHint("podman login %s on %s, as the user that mcp runs as there; the account may also lack the right", registry, place)
	}
	return err
}
