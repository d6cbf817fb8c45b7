package onnode

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// serviceNetwork returns the network of a service, and makes it if it is missing: with the
// addresses that containers have already.
func serviceNetwork(ctx context.Context, engine runtime.Runtime, service string, here []runtime.ContainerSummary) (runtime.NetworkInfo, error) {
	name := servicedef.ServiceNetwork(service)
	var subnet netip.Prefix
	for _, c := range here {
		subnet = addressIn(c.Labels).Masked()
	}
	network, err := engine.Network(ctx, name)
	if fault.Is(err, fault.NotFound) {
		network, err = engine.CreateNetwork(ctx, runtime.NetworkSpec{
			Name: name, Subnet: subnet, Labels: map[string]string{runtime.LabelService: service},
		})
		if fault.Is(err, fault.Conflict) {
			network, err = engine.Network(ctx, name) // something has just made it
		}
	}
	if err != nil {
		return network, err
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
		return network, nil
	}
	return network, fault.New(fault.Conflict, "network %s is to be that of service %s: %s", name, service, problem).
		WithHint("remove it on that node, and mcp makes it anew: podman network rm %s", name)
}

// addressFor returns a free address for a container; that which it has if it exists. A
// random one makes it unlikely that a client that still has the address of a container
// which is gone finds another one there.
func (n *names) addressFor(spec *runtime.ContainerSpec, network runtime.NetworkInfo, here []runtime.ContainerSummary) (netip.Addr, error) {
	taken := map[netip.Addr]bool{network.Gateway: true}
	for _, c := range here {
		if c.Name == spec.Name && spec.MatchesLabels(c.Labels) {
			return addressIn(c.Labels).Addr(), nil
		}
		taken[addressIn(c.Labels).Addr()], taken[n.addressOf(c)] = true, true
	}
	for j := range n.joining {
		taken[j.address] = true
	}
	first := network.Subnet.Masked().Addr().As4()
	base := uint32(first[0])<<24 | uint32(first[1])<<16 | uint32(first[2])<<8 | uint32(first[3])
	size := uint32(1) << (32 - network.Subnet.Bits())
	offset := rand.Uint32N(size)
	for i := range size {
		host := (offset + i) % size
		if host == 0 || host == size-1 { // the network and its broadcast
			continue
		}
		v := base + host
		address := netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
		if !taken[address] {
			return address, nil
		}
	}
	return netip.Addr{}, fault.New(fault.Invalid, "network %s has no free address in %s", network.Name, network.Subnet).
		WithHint("a start-first update needs two addresses for each component: spread the components over nodes or services")
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
func (a *Node) members(ctx context.Context, engine runtime.Runtime, service string) ([]runtime.ContainerSummary, error) {
	here, err := membersOf(ctx, engine, service)
	if err != nil {
		return nil, err
	}
	for _, c := range here {
		if _, known := a.names.actual[c.ID]; known || c.State != runtime.Running {
			continue
		}
		info, err := engine.Inspect(ctx, c.ID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		a.names.learn(info)
	}
	return here, nil
}

// learn records the address that a container has.
func (n *names) learn(c runtime.ContainerInfo) {
	if n.actual == nil {
		n.actual = map[string]netip.Addr{}
	}
	if c.State == runtime.Running {
		n.actual[c.ID] = c.Addresses[servicedef.ServiceNetwork(c.Labels[runtime.LabelService])]
	}
}

// forget lets all addresses be learned anew: a start may have changed one.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.actual = nil
}

// addressOf returns the address of a container on the network of its service: that which
// it was given, unless the engine could not give it that when it started.
func (n *names) addressOf(c runtime.ContainerSummary) netip.Addr {
	if actual := n.actual[c.ID]; actual.IsValid() && c.State == runtime.Running {
		return actual
	}
	return addressIn(c.Labels).Addr()
}

// addressIn returns the address in labels, with the size of its network; the zero value if
// there is none.
func addressIn(labels map[string]string) netip.Prefix {
	prefix, err := netip.ParsePrefix(labels[runtime.LabelAddress])
	if err != nil || !prefix.Addr().Is4() {
		return netip.Prefix{}
	}
	return prefix
}
