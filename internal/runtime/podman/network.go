package podman

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

// network is podman's description of a network, with the fields that are used. Its
// names are those of podman's own type.
type network struct {
	Name     string            `json:"name"`
	Driver   string            `json:"driver,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Subnets  []subnet          `json:"subnets,omitempty"`
	Internal bool              `json:"internal"`
	DNS      bool              `json:"dns_enabled"`
	// Interface is the name of its bridge.
	Interface string `json:"network_interface,omitempty"`
}

type subnet struct {
	Subnet  string `json:"subnet"`
	Gateway string `json:"gateway,omitempty"`
}

// Network describes one network. Podman also accepts an id or its prefix, and Network
// does not.
func (e *Engine) Network(ctx context.Context, name string) (runtime.NetworkInfo, error) {
	var found network
	if err := e.ask(ctx, get("/networks/%s/json", name), &found); err != nil {
		translated := e.translate(ctx, err, "inspect network %s", name)
		if causesOf(err).has(networkGone) || causesOf(err).has(networkUnknown) {
			return runtime.NetworkInfo{}, fault.Wrap(fault.NotFound, err, "inspect network %s", name)
		}
		return runtime.NetworkInfo{}, translated
	}
	if found.Name != name {
		return runtime.NetworkInfo{}, fault.New(fault.NotFound, "inspect network %s: no network with that name", name)
	}
	return describeNetwork(found), nil
}

// CreateNetwork creates a bridge network with DNS.
func (e *Engine) CreateNetwork(ctx context.Context, spec runtime.NetworkSpec) (runtime.NetworkInfo, error) {
	wanted := network{Name: spec.Name, Driver: "bridge", Labels: spec.Labels, DNS: true}
	if spec.Subnet.IsValid() {
		wanted.Subnets = []subnet{{Subnet: spec.Subnet.Masked().String()}}
	}
	// Podman gives the next name that no interface has, and a network has one only while a
	// container is on it: two engines of a machine would share a bridge.
	wanted.Interface = fmt.Sprintf("mcp%012x", rand.Uint64()>>16)
	created, err := e.askCreated(ctx, wanted)
	if err != nil {
		return runtime.NetworkInfo{}, e.translate(ctx, err, "create network %s", spec.Name)
	}
	return describeNetwork(created), nil
}

// askCreated asks podman to create a network. Podman first reads the host's interfaces, and
// then the addresses of each: if one is removed in between, as the bridge of another
// network is with its last container, podman creates nothing, and is asked again.
func (e *Engine) askCreated(ctx context.Context, wanted network) (created network, err error) {
	for try := 1; ; try++ {
		err = e.ask(ctx, post("/networks/create").sending(wanted), &created)
		if err == nil || try == networkTries || !causesOf(err).has(interfaceGone) {
			return created, err
		}
		if err := pause(ctx); err != nil {
			return created, err
		}
	}
}

// networkTries bounds the attempts to create a network while interfaces are removed.
const networkTries = 20

// RemoveNetwork removes a network that no container has.
func (e *Engine) RemoveNetwork(ctx context.Context, name string) error {
	if _, err := e.Network(ctx, name); fault.Is(err, fault.NotFound) {
		return nil // podman would take the name for the prefix of an id
	} else if err != nil {
		return err
	}
	err := e.ask(ctx, del("/networks/%s", name), nil)
	if err == nil || causesOf(err).has(networkGone) || causesOf(err).has(networkUnknown) {
		return nil
	}
	return e.translate(ctx, err, "remove network %s", name)
}

func describeNetwork(n network) runtime.NetworkInfo {
	info := runtime.NetworkInfo{Name: n.Name, Driver: n.Driver, Labels: n.Labels, Internal: n.Internal}
	for _, s := range n.Subnets {
		prefix, err := netip.ParsePrefix(s.Subnet)
		if err != nil || !prefix.Addr().Is4() {
			continue
		}
		info.Subnet = prefix.Masked()
		if info.Gateway, err = netip.ParseAddr(s.Gateway); err != nil {
			info.Gateway = info.Subnet.Addr().Next()
		}
		break
	}
	return info
}

// leaveAddress disconnects a container that does not run from the network of its service,
// if it could not start because its address is taken: by another container, or, in podman's
// records, by itself, if podman was killed while it started the container.
func (e *Engine) leaveAddress(ctx context.Context, cause error, info runtime.ContainerInfo) (left bool, err error) {
	name := ownNetwork(info)
	if name == "" || !causesOf(cause).has(addressTaken) || !slices.Contains(info.Networks, name) {
		return false, nil
	}
	body := struct{ Container string }{info.ID}
	if err := e.ask(ctx, post("/networks/%s/disconnect", name).sending(body), nil); err != nil {
		return false, e.translate(ctx, err, "disconnect container %s from network %s", info.Name, name)
	}
	return true, nil
}

// rejoin connects a container that does not run to the network of its service, if it is
// not connected: podman assigns the address then.
func (e *Engine) rejoin(ctx context.Context, info runtime.ContainerInfo) (runtime.ContainerInfo, error) {
	name := ownNetwork(info)
	if name == "" || slices.Contains(info.Networks, name) {
		return info, nil
	}
	body := struct {
		Container string   `json:"container"`
		Aliases   []string `json:"aliases,omitempty"`
	}{Container: info.ID}
	if component := info.Labels[runtime.LabelComponent]; component != "" {
		body.Aliases = []string{component, servicedef.ContainerNameFor(info.Labels[runtime.LabelService], component)}
	}
	if err := e.ask(ctx, post("/networks/%s/connect", name).sending(body), nil); err != nil {
		return info, e.translate(ctx, err, "connect container %s to network %s", info.Name, name)
	}
	info.Networks = append(slices.Clone(info.Networks), name)
	return info, nil
}

// ownNetwork returns the network of a container's service; "" for a container that has
// no address of mcp's.
func ownNetwork(info runtime.ContainerInfo) string {
	if info.Labels[runtime.LabelAddress] == "" {
		return ""
	}
	return servicedef.ServiceNetwork(info.Labels[runtime.LabelService])
}

// networkNames returns the networks of a container that has just been created.
func networkNames(spec runtime.ContainerSpec) []string {
	var names []string
	for _, a := range spec.Networks {
		names = append(names, a.Network)
	}
	return names
}
