package fleet

import (
	"cmp"
	"strings"

	"github.com/metacircular/mcp/servicedef"
)

// PublicationSource is what the registry has of a service to make its publication from.
type PublicationSource struct {
	// Definition is that of the release; nil before the first.
	Definition *servicedef.Service
	// Members are the components of the release, with their host ports.
	Members []Member
	// Addresses are those on which nodes publish routes, by node, and Machines the ids of
	// their machines, "" if that is not known.
	Addresses map[string]string
	Machines  map[string]string
	// Held are components whose only container is being replaced.
	Held []string
	// Maintenance is set while an operator keeps the service from being reached.
	Maintenance bool
}

// AddressOf returns where the container of a component publishes its ports; "" if that is
// not known.
func (s PublicationSource) AddressOf(m Member) string { return cmp.Or(m.Address, s.Addresses[m.Node]) }

// Compare orders endpoints by hostname, port, protocol and path.
func (e Endpoint) Compare(other Endpoint) int {
	return cmp.Or(
		strings.Compare(e.Hostname, other.Hostname), cmp.Compare(e.Port, other.Port),
		strings.Compare(e.Protocol, other.Protocol), strings.Compare(e.Path, other.Path),
	)
}

// Collides reports whether a client that reaches one of two endpoints would reach the
// other: they are the same, or their connections cannot be distinguished.
func (e Endpoint) Collides(other Endpoint) bool { return e.place().Collides(other.place()) }

func (e Endpoint) place() servicedef.Place {
	return servicedef.Place{Port: e.Port, Protocol: e.Protocol, Hostname: e.Hostname, Path: e.Path}
}
