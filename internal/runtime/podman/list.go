package podman

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
)

// listTries is how often a list is asked for that podman fails to complete.
const listTries = 20

// askList asks for a list. Podman reads what there is, and then each of it: where one is removed
// in between it answers that this one does not exist, and is asked again.
func (e *Engine) askList(ctx context.Context, r request, answer any, doing string) error {
	for try := 1; ; try++ {
		cause := e.ask(ctx, r, answer)
		if cause == nil {
			return nil
		}
		err := e.translate(ctx, cause, "%s", doing)
		if !fault.Is(err, fault.NotFound) {
			return err
		}
		if try == listTries {
			return fault.Wrap(fault.Unavailable, cause, "%s: something in it is removed each time", doing)
		}
		if err := pause(ctx); err != nil {
			return e.translate(ctx, err, "%s", doing)
		}
	}
}
