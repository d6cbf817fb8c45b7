package change

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/exchange"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// turns puts the deploys of a batch in groups: a service that takes a port, a volume or a
// hostname from another one of the batch is deployed after that one, when its old
// container has gone.
func turns(ctx context.Context, s *session.Session, c client.Client, inputs []workflows.DeployInput) ([][]string, []exchange.Handover, error) {
	var names []string
	for _, in := range inputs {
		names = append(names, in.Definition.Name)
	}
	if !slices.ContainsFunc(inputs, func(in workflows.DeployInput) bool { return mayTake(in.Definition) }) {
		return [][]string{names}, nil, nil
	}
	var services []fleet.ServiceRecord
	if err := s.Read(ctx, c, "services", reads.ServicesName, nil, &services); err != nil {
		return nil, nil, err
	}
	var movements []exchange.Movement
	for _, in := range inputs {
		m := exchange.Movement{Desired: in.Definition}
		for _, record := range services {
			if record.Release.Service == in.Definition.Name {
				m.Release = record.Release
			}
		}
		m.Desired = plan.Merge(m.Release.Definition, m.Desired, in.Only)
		movements = append(movements, m)
	}
	handovers := exchange.Between(movements)
	groups, err := exchange.InTurn(names, handovers)
	if cycle := (*exchange.CycleError)(nil); errors.As(err, &cycle) {
		return nil, nil, exit.Usage(fault.Translate(fault.Conflict, cycle).
			WithHint("deploy one of them with something else first, or make them components of one service"))
	}
	return groups, handovers, err
}

// mayTake reports whether a service has what two containers, or two services, cannot both
// have.
func mayTake(definition servicedef.Service) bool {
	return definition.AtEdges() || slices.ContainsFunc(definition.Components, func(c servicedef.Component) bool {
		return len(c.Ports)+len(c.WritableVolumes()) > 0
	})
}

// notGiven returns the fault of a service that takes something from others, some of which
// were not deployed; nil if all were.
func notGiven(service string, handovers []exchange.Handover, failed map[string]bool) *fault.Error {
	var missing []string
	for _, h := range handovers {
		if h.Taker == service && failed[h.Giver] {
			missing = append(missing, h.String())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s was not deployed: %s, which was not deployed", service, strings.Join(missing, " and "))
}
