package onnode

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/leads"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// NameRest is how long a container serves on after the names lead to its successor. Go's
// resolver reads /etc/hosts again after five seconds; that of C reads it each time.
const NameRest = 5500 * time.Millisecond

// lead lets the names of a service lead to the containers that they should lead to now.
// It writes what differs and restores what is missing; of a service without containers
// it removes the network. It may be called at any time.
func (a *Node) lead(ctx context.Context, engine runtime.Runtime, service string) error {
	if a.Hosts == nil {
		return nil
	}
	a.names.mu.Lock()
	defer a.names.mu.Unlock()
	here, err := a.members(ctx, engine, service)
	if err != nil {
		return err
	}
	return a.leadTo(ctx, engine, service, here)
}

// leadTo is lead for a service whose containers are known; the caller holds the lock.
func (a *Node) leadTo(ctx context.Context, engine runtime.Runtime, service string, here []runtime.ContainerSummary) error {
	if len(here) == 0 && !a.names.joins(service) {
		return a.disband(ctx, engine, service)
	}
	if len(here) == 0 {
		return nil
	}
	network, err := serviceNetwork(ctx, engine, service, here)
	if err != nil {
		return err
	}
	return a.write(service, here, network.Gateway)
}

// leadAll is lead for the services of all containers of a node; it returns the errors by
// service. It lists the containers once for all services: an engine reads all of them for
// each list, whatever it is to select.
func (a *Node) leadAll(ctx context.Context, containers []runtime.ContainerInfo) map[string]error {
	errs := map[string]error{}
	if a.Hosts == nil {
		return errs
	}
	a.names.forget()
	a.names.mu.Lock()
	defer a.names.mu.Unlock()
	for _, c := range containers {
		a.names.learn(c)
	}
	all, err := a.members(ctx, a.Runtime, "")
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
		errs[service] = a.leadTo(ctx, a.Runtime, service, members)
	}
	return errs
}

// leadHealthy lets names lead to a container that waits for the cut-over where none of
// its component is released and runs.
func (a *Node) leadHealthy(ctx context.Context, c activities.ComponentSpec, name string) error {
	if a.Hosts == nil || !c.Definition.OnServiceNetwork() {
		return nil
	}
	_, err := inside(ctx, a, step{service: c.Service, identity: identityOf(c)}, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
		info, err := engine.Inspect(ctx, name)
		if fault.Is(err, fault.NotFound) || err == nil && (identityIn(info.Labels) != identityOf(c) || info.Labels[runtime.LabelAddress] == "") {
			return struct{}{}, nil // the cut-over refuses it
		}
		if err == nil {
			err = a.Hosts.Mark(c.Service, hostsKey(info.Labels))
		}
		if err == nil {
			err = a.lead(ctx, engine, c.Service)
		}
		return struct{}{}, err
	})
	return err
}

// disband removes what a service without containers leaves: its network, unless that is
// another's or something else uses it, and its files.
func (a *Node) disband(ctx context.Context, engine runtime.Runtime, service string) error {
	delete(a.names.led, service)
	delete(a.names.leads, service)
	if err := a.Hosts.Keep(service, nil); err != nil {
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
func (a *Node) write(service string, here []runtime.ContainerSummary, gateway netip.Addr) error {
	var named []leads.Container
	for _, c := range here {
		named = append(named, leads.Container{
			Name: c.Name, Component: c.Labels[runtime.LabelComponent], Address: a.names.addressOf(c),
			Running: c.State == runtime.Running, Healthy: a.Hosts.Marked(service, hostsKey(c.Labels)),
		})
	}
	to := leads.Of(service, named)
	texts := map[string]string{}
	for _, c := range here {
		texts[hostsKey(c.Labels)] = hostsText(service, a.names.addressOf(c), c.ID, gateway, to, c.Labels[runtime.LabelHosts])
	}
	for j := range a.names.joining {
		if _, exists := texts[j.key]; !exists && j.service == service {
			texts[j.key] = hostsText(service, j.address, "", gateway, to, j.extra)
		}
	}
	if err := a.Hosts.Keep(service, texts); err != nil {
		return err
	}
	a.names.note(service, to)
	return nil
}

// rest waits until no client of a name has the address of a container that goes any more,
// where another component may have asked for it.
func (a *Node) rest(ctx context.Context, r *attempt.Reporter, engine runtime.Runtime, service string, going []fleet.Ref) error {
	if a.Hosts == nil {
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
		a.names.mu.Lock()
		led, known := a.names.led[service]
		a.names.mu.Unlock()
		if !known {
			led = time.Now() // by a worker that has ended
		}
		r.Set("drain", c.Name)
		return attempt.Sleep(ctx, NameRest-time.Since(led))
	}
	return nil
}
