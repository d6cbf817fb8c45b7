package proxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// The signature of version 2, and its bytes for a proxied connection by family.
const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	proxied    = 0x21
	unproxied  = 0x20
	streamIPv4 = 0x11
	streamIPv6 = 0x21
)

// proxyHeader returns the header of the PROXY protocol for a connection from client to
// the edge's address; empty if version is "". An address that is neither IPv4 nor IPv6
// is left out, as the protocol specifies.
func proxyHeader(version string, client, edge net.Addr) []byte {
	from, to := portOf(client), portOf(edge)
	known := from.IsValid() && to.IsValid()
	if known && from.Addr().Is4() != to.Addr().Is4() { // both must be of one family
		from = netipAddrPort(from.Addr().As16(), from.Port())
		to = netipAddrPort(to.Addr().As16(), to.Port())
	}
	switch {
	case version == "v1" && !known:
		return []byte("PROXY UNKNOWN\r\n")
	case version == "v1":
		family := "TCP6"
		if from.Addr().Is4() {
			family = "TCP4"
		}
		return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, text(from.Addr()), text(to.Addr()), from.Port(), to.Port())
	case version == "v2" && !known:
		return append([]byte(signature), unproxied, 0, 0, 0)
	case version == "v2":
		family := byte(streamIPv6)
		if from.Addr().Is4() {
			family = streamIPv4
		}
		addresses := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
		addresses = binary.BigEndian.AppendUint16(addresses, from.Port())
		addresses = binary.BigEndian.AppendUint16(addresses, to.Port())
		header := append([]byte(signature), proxied, family)
		header = binary.BigEndian.AppendUint16(header, uint16(len(addresses)))
		return append(header, addresses...)
	}
	return nil
}

func netipAddrPort(address [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(address), port)
}

// text returns an address without its zone, which the other side could not use.
func text(a netip.Addr) string { return a.WithZone("").String() }
