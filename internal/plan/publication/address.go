package publication

import (
	"net"
	"net/netip"
	"strconv"
)

// hostPort returns where a port that is published on an address is reached:
// "10.0.0.1:23854".
func hostPort(address string, port int) string { return net.JoinHostPort(address, strconv.Itoa(port)) }

// OnlyLocal reports whether an address of a host leads another host to itself, as loopback
// addresses do.
func OnlyLocal(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}
