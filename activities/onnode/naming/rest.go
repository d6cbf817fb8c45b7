package naming

import (
	"context"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// restTime is how long a container serves on after the names lead to its successor. Go's
// resolver reads /etc/hosts again after five seconds; that of C reads it each time. The
// other two seconds are for a program that has resolved the name and, on a busy node, not
// connected yet: an address that nothing has any more refuses no connection as long as the
// client's neighbour table has it, so the request would hang.
const restTime = 7 * time.Second

// Rest waits until no client of a name still has the address of a container that goes, if
// another component may have asked for it.
func (n *Names) Rest(ctx context.Context, r *attempt.Reporter, engine runtime.Runtime, service string, going []fleet.Ref) error {
	if n.Files == nil {
		return nil
	}
	here, err := membersOf(ctx, engine, service)
	if err != nil {
		return err
	}
	leaves := func(c runtime.ContainerSummary) bool {
		return slices.ContainsFunc(going, func(g fleet.Ref) bool { return g.Key() == c.ID || g.Key() == c.Name })
	}
	for _, c := range here {
		successor := func(o runtime.ContainerSummary) bool {
			return o.State == runtime.Running && o.Labels[runtime.LabelComponent] == c.Labels[runtime.LabelComponent] && !leaves(o)
		}
		client := func(o runtime.ContainerSummary) bool {
			return o.State == runtime.Running && o.Labels[runtime.LabelComponent] != c.Labels[runtime.LabelComponent]
		}
		if c.State != runtime.Running || !leaves(c) || !slices.ContainsFunc(here, successor) || !slices.ContainsFunc(here, client) {
			continue
		}
		n.mu.Lock()
		led, known := n.led[service]
		n.mu.Unlock()
		if !known {
			led = time.Now() // by a worker that has ended
		}
		r.Set("drain", c.Name)
		return attempt.Sleep(ctx, restTime-time.Since(led))
	}
	return nil
}
