package runtime

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
)

// AddNetwork adds a network that something other than mcp has made.
func (f *Fake) AddNetwork(info NetworkInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.networks[info.Name] = info
}

// Disconnect disconnects a container from a network, as an operator may.
func (f *Fake) Disconnect(name, network string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[name]; c != nil {
		c.info.Networks = slices.DeleteFunc(slices.Clone(c.info.Networks), func(n string) bool { return n == network })
	}
}

// Network describes one network.
func (f *Fake) Network(ctx context.Context, name string) (NetworkInfo, error) {
	if err := f.enter(ctx, "Network", name); err != nil {
		return NetworkInfo{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	info, found := f.networks[name]
	if !found {
		return NetworkInfo{}, fault.New(fault.NotFound, "inspect network %s: no network with that name", name)
	}
	return info, nil
}

// CreateNetwork creates a network with a subnet of its own.
func (f *Fake) CreateNetwork(ctx context.Context, spec NetworkSpec) (NetworkInfo, error) {
	if err := f.enter(ctx, "CreateNetwork", spec.Name); err != nil {
		return NetworkInfo{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.networks[spec.Name]; taken {
		return NetworkInfo{}, fault.New(fault.Conflict, "create network %s: network already exists", spec.Name)
	}
	subnet := spec.Subnet
	if !subnet.IsValid() {
		f.subnets++
		subnet = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 89, f.subnets, 0}), 24)
	}
	info := NetworkInfo{Name: spec.Name, Driver: "bridge", Labels: maps.Clone(spec.Labels), Subnet: subnet, Gateway: subnet.Addr().Next()}
	f.networks[spec.Name] = info
	return info, nil
}

// RemoveNetwork removes a network that no container has.
func (f *Fake) RemoveNetwork(ctx context.Context, name string) error {
	if err := f.enter(ctx, "RemoveNetwork", name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		if slices.Contains(c.info.Networks, name) {
			return fault.New(fault.Conflict, "remove network %s: network is being used", name)
		}
	}
	delete(f.networks, name)
	return nil
}

// connects returns the names of the networks that a container with the spec is
// connected to, sorted; one that does not exist is Invalid. The caller holds the lock.
func (f *Fake) connects(spec ContainerSpec) ([]string, error) {
	var names []string
	for _, a := range spec.Networks {
		if _, found := f.networks[a.Network]; !found {
			lacking := &MissingError{What: MissingNetwork, Name: a.Network, Err: fmt.Errorf("unable to find network with name or ID %s: network not found", a.Network)}
			return nil, fault.Wrap(fault.Invalid, lacking, "create container %s", spec.Name)
		}
		names = append(names, a.Network)
	}
	slices.Sort(names)
	return names, nil
}
