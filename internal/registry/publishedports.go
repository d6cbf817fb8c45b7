package registry

import (
	"net"
	"slices"
	"strconv"
)

// shownPorts returns the host ports to which a publication leads, as columns: the nodes,
// their addresses and the ports.
func shownPorts(r recorded) (nodes, addresses []string, ports []int) {
	nodes, addresses, ports = []string{}, []string{}, []int{}
	for _, upstream := range r.last.Upstreams() {
		address, text, err := net.SplitHostPort(upstream)
		port, invalid := strconv.Atoi(text)
		if err != nil || invalid != nil {
			continue // no container of a node
		}
		for _, node := range r.nodesAt(port) {
			nodes, addresses, ports = append(nodes, node), append(addresses, address), append(ports, port)
		}
	}
	return nodes, addresses, ports
}

// nodesAt returns the nodes where a route of the service has that host port.
func (r recorded) nodesAt(port int) (nodes []string) {
	for _, m := range r.source.Members {
		for _, route := range m.Routes {
			if route.HostPort == port && !slices.Contains(nodes, m.Node) {
				nodes = append(nodes, m.Node)
			}
		}
	}
	return nodes
}

// awaitedPort is the condition that an edge may still have the publication that leads to
// a port: it was sent one of the service, and has acknowledged none that is newer than
// the last with the port.
const awaitedPort = `exists (
	select from edge_publications e where e.service = shown.service and e.acked <= shown.version)`

// portAt is the condition that a port which a publication shows is one of the node $1, or
// of its address. Loopback addresses are the same on every node.
const portAt = `(shown.node = $1 or shown.address = (select address from nodes where name = $1)
	and shown.address not like '127.%' and shown.address <> '::1')`

// forgottenPorts is a statement that deletes the ports to which no edge leads any more. A
// condition on the service may follow.
const forgottenPorts = `
	delete from published_ports shown
	where version < coalesce((select version from publications p where p.service = shown.service), version + 1)
	  and not ` + awaitedPort
