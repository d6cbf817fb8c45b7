package health

import (
	"net"
	"strconv"

	"github.com/metacircular/mcp/activities"
)

// address is where this host reaches a port of a container.
type address struct {
	route string // its name; "" for a port
	dial  string // "host:port"
	port  int    // the container's
	// forwarded is set where the engine forwards the connection, and unset on the
	// host's network, where the container accepts it itself.
	forwarded bool
}

// addressesOf returns where this host reaches the component's routes, which are published on
// publish, and then its ports, those of tcp.
func addressesOf(c activities.ComponentSpec, publish string) []address {
	forwarded := c.Definition.Network != "host"
	var found []address
	for _, r := range c.Routes {
		if r.Protocol == "udp" {
			continue // no answer shows whether it is open
		}
		found = append(found, address{r.Name, dialable(publish, r.HostPort), r.ContainerPort, forwarded})
	}
	for _, p := range c.Definition.StaticPorts() {
		if p.Protocol == "tcp" {
			found = append(found, address{"", dialable(p.IP, p.Host), p.Container, forwarded})
		}
	}
	return found
}

// dialable returns the address to dial for a port that is published on ip.
func dialable(ip string, port int) string {
	switch parsed := net.ParseIP(ip); {
	case parsed == nil || parsed.Equal(net.IPv4zero):
		ip = "127.0.0.1"
	case parsed.IsUnspecified():
		ip = "::1"
	}
	return net.JoinHostPort(ip, strconv.Itoa(port))
}
