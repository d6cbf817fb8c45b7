package naming

import (
	"context"
	"net/netip"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan/leads"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// Lead lets the names of a service lead to the containers that they should lead to now.
// It writes what differs and restores what is missing; of a service without containers
// it removes the network. It may be called at any time.
func (n *Names) Lead(ctx context.Context, engine runtime.Runtime, service string) error {
	if n.Files == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	here, err := n.members(ctx, engine, service)
	if err != nil {
		return err
	}
	return n.leadTo(ctx, engine, service, here)
}

// leadTo is Lead for a service whose containers are known; the caller holds the lock.
func (n *Names) leadTo(ctx context.Context, engine runtime.Runtime, service string, here []runtime.ContainerSummary) error {
	if len(here) == 0 && !n.joins(service) {
		return n.disband(ctx, engine, service)
	}
	if len(here) == 0 {
		return nil
	}
	network, err := engine.Network(ctx, servicedef.ServiceNetwork(service))
	if fault.Is(err, fault.NotFound) {
		// Another worker of this engine may have removed the containers, and then the network.
		if here, err = n.members(ctx, engine, service); err != nil || len(here) == 0 {
			return err
		}
		network, err = makeNetwork(ctx, engine, service, here)
	}
	if err == nil {
		err = serves(network, service, here)
	}
	if err != nil {
		return err
	}
	return n.write(service, here, network.Gateway)
}

// LeadAll is Lead for the services of all containers of a node; it returns the errors by
// service. It lists the containers once for all services: an engine reads all of them for
// each list, whatever it selects.
func (n *Names) LeadAll(ctx context.Context, engine runtime.Runtime, containers []runtime.ContainerInfo) map[string]error {
	errs := map[string]error{}
	if n.Files == nil {
		return errs
	}
	n.Forget()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range containers {
		n.learn(c)
	}
	all, err := n.members(ctx, engine, "")
	if err != nil {
		for _, c := range containers {
			errs[c.Labels[runtime.LabelService]] = err
		}
		return errs
	}
	here := map[string][]runtime.ContainerSummary{}
	for _, c := range all {
		if service := c.Labels[runtime.LabelService]; servicedef.IsLabel(service) {
			here[service] = append(here[service], c)
		}
	}
	for service, members := range here {
		errs[service] = n.leadTo(ctx, engine, service, members)
	}
	return errs
}

// Healthy lets names lead to a container that waits for the cut-over, and is healthy, if
// none of its component is released and runs.
func (n *Names) Healthy(ctx context.Context, engine runtime.Runtime, service string, labels map[string]string) error {
	if err := n.Files.Mark(service, hostsKey(labels)); err != nil {
		return err
	}
	return n.Lead(ctx, engine, service)
}

// disband removes what a service without containers leaves: its network, unless that is
// another's or something else uses it, and its files.
func (n *Names) disband(ctx context.Context, engine runtime.Runtime, service string) error {
	delete(n.led, service)
	delete(n.leads, service)
	if err := n.Files.Keep(service, nil); err != nil {
		return err
	}
	name := servicedef.ServiceNetwork(service)
	network, err := engine.Network(ctx, name)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && network.Labels[runtime.LabelService] != service:
		return nil
	case err != nil:
		return err
	}
	if err := engine.RemoveNetwork(ctx, name); err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// write writes the files of all containers of a service on its network; the caller holds
// the lock.
func (n *Names) write(service string, here []runtime.ContainerSummary, gateway netip.Addr) error {
	var named []leads.Container
	for _, c := range here {
		named = append(named, leads.Container{
			Name: c.Name, Component: c.Labels[runtime.LabelComponent], Address: n.addressOf(c),
			Running: c.State == runtime.Running, Healthy: n.Files.Marked(service, hostsKey(c.Labels)),
		})
	}
	to := leads.Of(service, named)
	texts := map[string]string{}
	for _, c := range here {
		texts[hostsKey(c.Labels)] = hostsText(service, n.addressOf(c), c.ID, gateway, to, c.Labels[runtime.LabelHosts])
	}
	for j := range n.joining {
		if _, exists := texts[j.key]; !exists && j.service == service {
			texts[j.key] = hostsText(service, j.address, "", gateway, to, j.extra)
		}
	}
	if err := n.Files.Keep(service, texts); err != nil {
		return err
	}
	n.note(service, to)
	return nil
}
