package onnode

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// NameRest is how long a container serves on after the names lead to its successor. Go's
// resolver reads /etc/hosts again after five seconds; that of C reads it each time.
const NameRest = 5500 * time.Millisecond

// HostsFiles are the files that containers have as /etc/hosts, by service and key. No two
// containers ever have the same key.
type HostsFiles interface {
	Path(service, key string) string
	// Keep writes files, such that the containers see all of a change at once, and
	// removes all others of the service.
	Keep(service string, texts map[string]string) error
	// Mark marks the container of a key as healthy, until its file is removed.
	Mark(service, key string) error
	Marked(service, key string) bool
}

// names is the state of a node's names. Its zero value is ready for use.
type names struct {
	mu sync.Mutex // held while files and networks are made, written and removed
	// joining are containers that are about to be created. Two attempts may be about to
	// create the same one.
	joining map[*joining]bool
	// led is when the names of a service began to lead elsewhere, and leads where they
	// lead.
	led   map[string]time.Time
	leads map[string][]plan.Lead
	// actual are the addresses of containers that run, by id, as far as they are known.
	actual map[string]netip.Addr
}

// joining is what a container that is about to be created takes.
type joining struct {
	service, key string
	address      netip.Addr
	extra        string
}

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

// runNamed runs a container on the network of its service, with its secrets.
func (a *Node) runNamed(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec runtime.ContainerSpec) (id string, err error) {
	done, err := a.unseal(ctx, engine, c, &spec)
	if err != nil {
		return "", err
	}
	defer done()
	created, err := a.join(ctx, engine, c, &spec)
	if err != nil {
		return "", err
	}
	id, err = a.runPermitted(ctx, engine, c, spec)
	created()
	if err != nil {
		return "", a.lacking(err, c.Service, c.Definition.Name)
	}
	return id, a.lead(ctx, engine, c.Service) // it has an id from now on, and with it a name for itself
}

// runPermitted runs a container that the policy of the node lets run: as it is right before
// podman is asked, with what its mounts lead to then.
func (a *Node) runPermitted(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec runtime.ContainerSpec) (id string, err error) {
	pins, err := a.pin(&spec)
	if err == nil {
		err = a.permit(ctx, c)
	}
	if err == nil {
		err = a.permitPinned(ctx, c, spec)
	}
	if err == nil {
		err = a.admit(ctx, c)
	}
	if err != nil {
		return "", err
	}
	if id, err = engine.Run(ctx, spec); err != nil {
		return "", err
	}
	return id, a.verify(ctx, engine, id, pins)
}

// mountsHosts reports whether volumes bring an /etc/hosts of their own.
func mountsHosts(volumes []string) bool {
	return slices.ContainsFunc(volumes, func(v string) bool {
		parts := strings.Split(v, ":")
		return len(parts) > 1 && parts[1] == "/etc/hosts"
	})
}

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
	var named []plan.Named
	for _, c := range here {
		named = append(named, plan.Named{
			Name: c.Name, Component: c.Labels[runtime.LabelComponent], Address: a.names.addressOf(c),
			Running: c.State == runtime.Running, Healthy: a.Hosts.Marked(service, hostsKey(c.Labels)),
		})
	}
	leads := plan.Leads(service, named)
	texts := map[string]string{}
	for _, c := range here {
		texts[hostsKey(c.Labels)] = hostsText(service, a.names.addressOf(c), c.ID, gateway, leads, c.Labels[runtime.LabelHosts])
	}
	for j := range a.names.joining {
		if _, exists := texts[j.key]; !exists && j.service == service {
			texts[j.key] = hostsText(service, j.address, "", gateway, leads, j.extra)
		}
	}
	if err := a.Hosts.Keep(service, texts); err != nil {
		return err
	}
	a.names.note(service, leads)
	return nil
}

// note records when the names began to lead elsewhere.
func (n *names) note(service string, leads []plan.Lead) {
	if n.led == nil {
		n.led, n.leads = map[string]time.Time{}, map[string][]plan.Lead{}
	}
	same := func(a, b plan.Lead) bool { return a.Address == b.Address && slices.Equal(a.Names, b.Names) }
	if former, known := n.leads[service]; !known || !slices.EqualFunc(former, leads, same) {
		n.led[service], n.leads[service] = time.Now(), leads
	}
}

// joins reports whether a container of the service is about to be created.
func (n *names) joins(service string) bool {
	for j := range n.joining {
		if j.service == service {
			return true
		}
	}
	return false
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

// hostsKey returns the key of a container's file, by its labels. They are input: the key is a
// hash, and no path.
func hostsKey(labels map[string]string) string {
	sum := sha256.New()
	for _, label := range []string{
		runtime.LabelComponent, runtime.LabelDeployment, runtime.LabelRun, runtime.LabelSpec, runtime.LabelTask, runtime.LabelAddress,
	} {
		fmt.Fprintf(sum, "%q", labels[label])
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// hostsText returns the file of a container: what the engine would write into it, and the
// names.
func hostsText(service string, own netip.Addr, id string, gateway netip.Addr, leads []plan.Lead, extra string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# mcp keeps the names of service %s here.\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", service)
	if gateway.IsValid() {
		fmt.Fprintf(&text, "%s host.containers.internal host.docker.internal\n", gateway)
	}
	for line := range strings.SplitSeq(extra, ";") { // a label, and so input
		address, name, _ := strings.Cut(line, " ")
		if _, err := netip.ParseAddr(address); err == nil && !strings.ContainsAny(name, " \t\r\n#") {
			fmt.Fprintf(&text, "%s %s\n", address, name)
		}
	}
	for _, lead := range leads {
		names := slices.DeleteFunc(slices.Clone(lead.Names), func(name string) bool { return name == "localhost" })
		fmt.Fprintf(&text, "%s %s\n", lead.Address, strings.Join(names, " "))
	}
	if len(id) >= shortID { // the container's own name, where the definition gives it none
		fmt.Fprintf(&text, "%s %s\n", own, id[:shortID])
	}
	return text.String()
}

// extraHosts returns the lines of a definition: those of extra_hosts, and the container's
// own name.
func extraHosts(c servicedef.Container, own, gateway netip.Addr) string {
	var lines []string
	if c.Hostname != "" {
		lines = append(lines, own.String()+" "+c.Hostname)
	}
	for _, text := range c.ExtraHosts {
		name, address := servicedef.ExtraHost(text)
		if _, err := netip.ParseAddr(address); err != nil {
			address = gateway.String() // of the host
		}
		lines = append(lines, address+" "+name)
	}
	return strings.Join(lines, ";")
}

// shortID is the length of the id that is the hostname of a container.
const shortID = 12

// unnamed returns why the names of a container do not lead to it; "" if they do.
func unnamed(labels map[string]string, networks []string) string {
	name := servicedef.ServiceNetwork(labels[runtime.LabelService])
	if labels[runtime.LabelAddress] == "" || slices.Contains(networks, name) {
		return ""
	}
	return "it is not connected to network " + name
}
