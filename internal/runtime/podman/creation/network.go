package creation

import (
	"net"
	"net/netip"

	nettypes "go.podman.io/common/libnetwork/types"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// setNetwork sets the container's network and published ports.
func (c *Request) setNetwork(spec runtime.ContainerSpec) {
	switch {
	case len(spec.Networks) > 0:
		c.Network.Mode = "bridge"
		c.Networks = attachments(spec.Networks)
	case spec.Network == "host" || spec.Network == "none":
		c.Network.Mode = spec.Network
	case spec.Network == "":
		c.Network.Mode = "bridge"
	default:
		c.Network.Mode = "bridge"
		c.Networks = map[string]nettypes.PerNetworkOptions{spec.Network: {}}
	}
	for _, p := range spec.Published() {
		c.Ports = append(c.Ports, nettypes.PortMapping{
			HostIP: p.IP, HostPort: uint16(p.Host), ContainerPort: uint16(p.Container), Protocol: p.Protocol,
		})
	}
}

// attachments returns podman's form of a container's networks.
func attachments(list []runtime.Attachment) map[string]nettypes.PerNetworkOptions {
	all := make(map[string]nettypes.PerNetworkOptions, len(list))
	for _, a := range list {
		options := nettypes.PerNetworkOptions{Aliases: a.Aliases}
		if a.Address.IsValid() {
			options.StaticIPs = []net.IP{a.Address.AsSlice()}
			options.StaticMAC = hardwareAddress(a.Address)
		}
		all[a.Network] = options
	}
	return all
}

// hardwareAddress returns the hardware address that belongs to an IPv4 address on each network
// of mcp's; nil for another address. Neighbours that still have the entry of a former
// container with the address reach the new one, on hosts that announce no addresses too.
func hardwareAddress(a netip.Addr) nettypes.HardwareAddr {
	if !a.Is4() {
		return nil
	}
	four := a.As4()
	return append(nettypes.HardwareAddr{0x02, 0x6d}, four[:]...) // 02: administered locally
}

// setResolution sets the container's own name, and how it resolves others.
func (c *Request) setResolution(s servicedef.Container) {
	c.Hostname, c.DNSServers, c.DNSSearch, c.DNSOptions = s.Hostname, s.DNS, s.DNSSearch, s.DNSOpt
	for _, text := range s.ExtraHosts {
		name, address := servicedef.ExtraHost(text)
		c.HostAdd = append(c.HostAdd, name+":"+address)
	}
}
