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

// makeNetwork makes the network of a service, with the addresses that containers have
// already.
func makeNetwork(ctx context.Context, engine runtime.Runtime, service string, here []runtime.ContainerSummary) (runtime.NetworkInfo, error) {
	name, subnet := servicedef.ServiceNetwork(service), subnetOf(here)
	network, err := engine.CreateNetwork(ctx, runtime.NetworkSpec{
		Name: name, Subnet: subnet, Labels: map[string]string{runtime.LabelService: service},
	})
	if fault.Is(err, fault.Conflict) {
		network, err = engine.Network(ctx, name) // something has just made it
	}
	if f := fault.Of(err); err != nil && subnet.IsValid() && f.Hint == "" {
		err = f.WithHint("containers of %s have addresses of %s: if another network has these now (podman network inspect), remove that network, or those containers", service, subnet)
	}
	return network, err
}

// subnetOf returns the network that the addresses of containers are of; the zero value if
// there are none.
func subnetOf(here []runtime.ContainerSummary) (subnet netip.Prefix) {
	for _, c := range here {
		subnet = addressIn(c.Labels).Masked()
	}
	return subnet
}

// serves returns an error if a network cannot be that of a service with these containers.
func serves(network runtime.NetworkInfo, service string, here []runtime.ContainerSummary) error {
	subnet := subnetOf(here)
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
		return nil
	}
	return fault.New(fault.Conflict, "network %s is to be that of service %s: %s", network.Name, service, problem).
		WithHint("remove it on that node, and mcp makes it anew: podman network rm %s", network.Name)
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
