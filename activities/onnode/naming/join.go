package naming

import (
	"context"
	"net/netip"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// Join connects a container that is about to be created to the network of its service,
// which it makes if it is missing. The spec gets an address of its own, which the
// container has as long as it exists, the names, and the file that it has as /etc/hosts.
// Created is called when the engine shows the container, or there will be none.
func (n *Names) Join(ctx context.Context, engine runtime.Runtime, service string, c servicedef.Component, spec *runtime.ContainerSpec) (created func(), err error) {
	if n.Files == nil || !c.OnServiceNetwork() {
		return func() {}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	here, err := n.members(ctx, engine, service)
	if err != nil {
		return nil, err
	}
	network, err := engine.Network(ctx, servicedef.ServiceNetwork(service))
	if fault.Is(err, fault.NotFound) {
		network, err = makeNetwork(ctx, engine, service, here)
	}
	if err == nil {
		err = serves(network, service, here)
	}
	if err != nil {
		return nil, err
	}
	address, err := n.addressFor(spec, network, here)
	if err != nil {
		return nil, err
	}
	spec.Labels[runtime.LabelAddress] = netip.PrefixFrom(address, network.Subnet.Bits()).String()
	if extra := extraHosts(spec.Container, address, network.Gateway); extra != "" {
		spec.Labels[runtime.LabelHosts] = extra
	}
	own := runtime.Attachment{Network: network.Name, Address: address}
	if component := spec.Labels[runtime.LabelComponent]; component != "" {
		own.Aliases = []string{component, servicedef.ContainerNameFor(service, component)}
	}
	spec.Networks = []runtime.Attachment{own}
	for _, other := range c.Joined() {
		aliases := append([]string{servicedef.ContainerNameFor(service, c.Name)}, other.Aliases...)
		spec.Networks = append(spec.Networks, runtime.Attachment{Network: other.Name, Aliases: aliases})
	}
	if n.joining == nil {
		n.joining = map[*joining]bool{}
	}
	j := &joining{service: service, key: hostsKey(spec.Labels), address: address, extra: spec.Labels[runtime.LabelHosts]}
	n.joining[j] = true
	created = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.joining, j)
	}
	if !mountsHosts(spec.Volumes) {
		spec.Hosts = n.Files.Path(service, j.key)
	}
	if err := n.write(service, here, network.Gateway); err != nil {
		delete(n.joining, j)
		return nil, err
	}
	return created, nil
}
