package onnode

import (
	"context"
	"net/netip"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// join connects a container that is about to be created to the network of its service,
// which it makes if it is missing. The spec gets an address of its own, which the
// container has as long as it exists, the names, and the file that it has as /etc/hosts.
// Created is called when the engine shows the container, or there will be none.
func (a *Node) join(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec *runtime.ContainerSpec) (created func(), err error) {
	if a.Hosts == nil || !c.Definition.OnServiceNetwork() {
		return func() {}, nil
	}
	a.names.mu.Lock()
	defer a.names.mu.Unlock()
	here, err := a.members(ctx, engine, c.Service)
	if err != nil {
		return nil, err
	}
	network, err := serviceNetwork(ctx, engine, c.Service, here)
	if err != nil {
		return nil, err
	}
	address, err := a.names.addressFor(spec, network, here)
	if err != nil {
		return nil, err
	}
	spec.Labels[runtime.LabelAddress] = netip.PrefixFrom(address, network.Subnet.Bits()).String()
	if extra := extraHosts(spec.Container, address, network.Gateway); extra != "" {
		spec.Labels[runtime.LabelHosts] = extra
	}
	own := runtime.Attachment{Network: network.Name, Address: address}
	if component := spec.Labels[runtime.LabelComponent]; component != "" {
		own.Aliases = []string{component, servicedef.ContainerNameFor(c.Service, component)}
	}
	spec.Networks = []runtime.Attachment{own}
	for _, other := range c.Definition.Joined() {
		aliases := append([]string{servicedef.ContainerNameFor(c.Service, c.Definition.Name)}, other.Aliases...)
		spec.Networks = append(spec.Networks, runtime.Attachment{Network: other.Name, Aliases: aliases})
	}
	if a.names.joining == nil {
		a.names.joining = map[*joining]bool{}
	}
	j := &joining{service: c.Service, key: hostsKey(spec.Labels), address: address, extra: spec.Labels[runtime.LabelHosts]}
	a.names.joining[j] = true
	created = func() {
		a.names.mu.Lock()
		defer a.names.mu.Unlock()
		delete(a.names.joining, j)
	}
	if !mountsHosts(spec.Volumes) {
		spec.Hosts = a.Hosts.Path(c.Service, j.key)
	}
	if err := a.write(c.Service, here, network.Gateway); err != nil {
		delete(a.names.joining, j)
		return nil, err
	}
	return created, nil
}
