package naming

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// serviceNetwork returns the network of a service. It makes a missing one, with the
// addresses that containers have already, and reports whether it has made it.
func serviceNetwork(ctx context.Context, engine runtime.Runtime, service string, here []runtime.ContainerSummary) (network runtime.NetworkInfo, made bool, err error) {
	name := servicedef.ServiceNetwork(service)
	var subnet netip.Prefix
	for _, c := range here {
		subnet = addressIn(c.Labels).Masked()
	}
	network, err = engine.Network(ctx, name)
	if fault.Is(err, fault.NotFound) {
		made = true
		network, err = engine.CreateNetwork(ctx, runtime.NetworkSpec{
			Name: name, Subnet: subnet, Labels: map[string]string{runtime.LabelService: service},
		})
		if fault.Is(err, fault.Conflict) {
			made = false // something has just made it
			network, err = engine.Network(ctx, name)
		}
	}
	if err != nil {
		return network, false, err
	}
	var problem string
	switch {
	case network.Labels[runtime.LabelService] != service:
		problem = "mcp did not make it for that"
	case network.Driver != "bridge":
		problem = fmt.Sprintf("its driver is %s, not bridge", network.Driver)
	case network.Internal:
		problem = "it is internal, and leads nowhere else"
	case !network.Subnet.IsValid() || network.Subnet.Bits() > 29:
		problem = fmt.Sprintf("its IPv4 addresses are %s, which are too few", network.Subnet)
	case subnet.IsValid() && subnet != network.Subnet:
		problem = fmt.Sprintf("its addresses are %s, and those of the service's containers %s", network.Subnet, subnet)
	default:
		return network, made, nil
	}
	return network, made, fault.New(fault.Conflict, "network %s is to be that of service %s: %s", name, service, problem).
		WithHint("remove it on that node, and mcp makes it anew: podman network rm %s", name)
}

// membersOf returns the containers of a service, "" for any, that are on its network.
func membersOf(ctx context.Context, engine runtime.Runtime, service string) ([]runtime.ContainerSummary, error) {
	labels := map[string]string{runtime.LabelAddress: ""}
	if service != "" {
		labels[runtime.LabelService] = service
	}
	all, err := engine.Summaries(ctx, runtime.Selection{Labels: labels})
	return slices.DeleteFunc(all, func(c runtime.ContainerSummary) bool { return !addressIn(c.Labels).IsValid() }), err
}

// members is membersOf, and learns the addresses of those that run and are not known yet.
// The caller holds the lock.
func (n *Names) members(ctx context.Context, engine runtime.Runtime, service string) ([]runtime.ContainerSummary, error) {
	here, err := membersOf(ctx, engine, service)
	if err != nil {
		return nil, err
	}
	for _, c := range here {
		if _, known := n.actual[c.ID]; known || c.State != runtime.Running {
			continue
		}
		info, err := engine.Inspect(ctx, c.ID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n.learn(info)
	}
	return here, nil
}
