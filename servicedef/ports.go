package servicedef

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Port is a port of a container that is published on its host.
type Port struct {
	// IP is the address that it is published on; "" means all.
	IP string `json:"host_ip,omitempty"`
	// Host is the port there, and Container the one that the container listens
	// on; 0 if only the host's matters.
	Host      int `json:"host_port"`
	Container int `json:"container_port,omitempty"`
	// Protocol is "tcp" or "udp".
	Protocol string `json:"protocol"`
}

// String formats the port as a definition does.
func (p Port) String() string {
	text := fmt.Sprintf("%d:%d", p.Host, p.Container)
	if p.IP != "" {
		text = net.JoinHostPort(p.IP, strconv.Itoa(p.Host)) + ":" + strconv.Itoa(p.Container)
	}
	if p.Protocol != tcp {
		text += "/" + p.Protocol
	}
	return text
}

// Same reports whether two ports are equal. "", "0.0.0.0" and "::" are the same
// address.
func (p Port) Same(other Port) bool {
	if everyAddress(p.IP) && everyAddress(other.IP) {
		p.IP, other.IP = "", ""
	}
	return p == other
}

const (
	tcp = "tcp"
	udp = "udp"

	minPort, maxPort = 1, 65535
	// maxPorts bounds the ports of one component, with its ranges expanded.
	maxPorts = 10_000
)

// ParsePorts parses entries of the form
// "[ip:]host[-host]:container[-container][/tcp|/udp]" and expands their ranges.
// The error joins the errors of all entries.
func ParsePorts(ports []string) ([]Port, error) {
	var all []Port
	var problems []error
	for _, text := range ports {
		parsed, err := parsePort(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("parse port %q: %w", text, err))
			continue
		}
		if all = append(all, parsed...); len(all) > maxPorts {
			return nil, fmt.Errorf("parse port %q: more than %d ports in total", text, maxPorts)
		}
	}
	return all, errors.Join(problems...)
}

// StaticPorts returns the component's Ports, parsed. It leaves out entries that
// are not well formed, which Parse refuses.
func (c Component) StaticPorts() []Port {
	ports, _ := ParsePorts(c.Ports)
	return ports
}

// reachable reports whether the component has a route or a port of tcp.
func (c *Component) reachable() bool {
	for _, p := range c.StaticPorts() {
		if p.Protocol == tcp {
			return true
		}
	}
	return slices.ContainsFunc(c.Routes, Route.probed)
}

// probed reports whether a health check can connect to the route.
func (r Route) probed() bool { return r.Protocol != udp }

// Transport returns the protocol of the route's host port: "tcp" or "udp".
func (r Route) Transport() string { return cmp.Or(r.Protocol, tcp) }

// parsePort reads one entry; a range gives several ports.
func parsePort(text string) ([]Port, error) {
	rest, protocol, given := strings.Cut(text, "/")
	if !given {
		protocol = tcp
	}
	if protocol != tcp && protocol != udp {
		return nil, fmt.Errorf("the protocol must be tcp or udp, not %q", protocol)
	}
	rest, container, ok := cutLast(rest)
	if !ok {
		return nil, errors.New(`must be "[ip:]host:container"; for a host port that mcp chooses, declare a route`)
	}
	ip, host, ok := cutLast(rest)
	if !ok {
		ip, host = "", rest
	} else if ip = strings.TrimSuffix(strings.TrimPrefix(ip, "["), "]"); !isIP(ip) {
		return nil, fmt.Errorf("%q is not an IP address", ip)
	}
	hostFirst, hostLast, err := parseRange(host)
	if err != nil {
		return nil, fmt.Errorf("host port: %w", err)
	}
	first, last, err := parseRange(container)
	if err != nil {
		return nil, fmt.Errorf("container port: %w", err)
	}
	if hostLast-hostFirst != last-first {
		return nil, fmt.Errorf("the ranges differ in length: %s and %s", host, container)
	}
	if last-first >= maxPorts {
		return nil, fmt.Errorf("more than %d ports", maxPorts)
	}
	ports := make([]Port, 0, last-first+1)
	for i := range last - first + 1 {
		ports = append(ports, Port{IP: ip, Host: hostFirst + i, Container: first + i, Protocol: protocol})
	}
	return ports, nil
}

// parseRange reads "80" or "80-89".
func parseRange(text string) (first, last int, err error) {
	from, to, ranged := strings.Cut(text, "-")
	if first, err = parsePortNumber(from); err != nil || !ranged {
		return first, first, err
	}
	if last, err = parsePortNumber(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("the range %s runs backwards", text)
	}
	return first, last, nil
}

func parsePortNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < minPort || n > maxPort {
		return 0, fmt.Errorf("%q is not between %d and %d", text, minPort, maxPort)
	}
	return int(n), nil
}

// cutLast cuts around the last colon, because an IPv6 address has several.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}

func isIP(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && address.Zone() == ""
}

// overlap reports whether two host ports cannot both be bound on one node.
func (p Port) overlap(other Port) bool {
	return p.Host == other.Host && p.Protocol == other.Protocol &&
		(p.IP == other.IP || everyAddress(p.IP) || everyAddress(other.IP))
}

func everyAddress(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
