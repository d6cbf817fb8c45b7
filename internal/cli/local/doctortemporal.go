package local

import (
	"context"
	"errors"
	"strings"

	"go.temporal.io/api/serviceerror"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// schedules finds the schedules that start what mcp does by itself.
func (t temporalChecks) schedules(ctx context.Context) []finding {
	const check = "schedules"
	var missing, paused []string
	for _, id := range workflows.Schedules() {
		described, err := t.client.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
		var absent *serviceerror.NamespaceNotFound
		switch {
		case errors.As(err, &absent):
			return nil // namespaceExists reports it
		case errors.As(err, new(*serviceerror.NotFound)):
			missing = append(missing, id)
		case err != nil:
			return []finding{fail(check, exit.FaultOf(exit.Temporal(err)))}
		case described.Schedule.State.Paused:
			paused = append(paused, id)
		}
	}
	switch {
	case len(missing) > 0:
		f := fault.New(fault.NotFound, "Temporal has no schedule %s", strings.Join(missing, ", "))
		return []finding{fail(check, f.WithHint("a control worker makes it within a minute: mcp worker --control"))}
	case len(paused) > 0:
		return []finding{warn(check, "resume it: temporal schedule toggle --unpause --schedule-id "+paused[0], "paused: %s", strings.Join(paused, ", "))}
	}
	return []finding{ok(check, "%s are there", strings.Join(workflows.Schedules(), ", "))}
}
