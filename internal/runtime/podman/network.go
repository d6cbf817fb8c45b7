package podman

import (
	"context"
	"net/netip"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
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
	var created network
	if err := e.ask(ctx, post("/networks/create").sending(wanted), &created); err != nil {
		return runtime.NetworkInfo{}, e.translate(ctx, err, "create network %s", spec.Name)
	}
	return describeNetwork(created), nil
}

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
