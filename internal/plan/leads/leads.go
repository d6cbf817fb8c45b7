// Package leads decides where the names of a service's components lead on a node.
package leads

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Container is one on the network of its service.
type Container struct {
	// Name is the container's, with the suffix of one that waits.
	Name      string
	Component string
	Address   netip.Addr
	Running   bool
	// Healthy is whether a container that waits for the cut-over was healthy.
	Healthy bool
}

// Lead is an address that names lead to.
type Lead struct {
	Address netip.Addr
	Names   []string
}

// Of returns where the names of a service's components lead on a node: to the released
// containers that run. If none of a component runs, they lead to its successor, once that
// is healthy; without one, to a predecessor that still runs; and otherwise to a container
// that does not run, so that a client finds it down rather than unknown.
func Of(service string, containers []Container) []Lead {
	best := map[string]int{}
	for _, c := range containers {
		if r := rank(c); r > 0 {
			best[c.Component] = max(best[c.Component], r)
		}
	}
	var all []Lead
	for _, c := range containers {
		if r := rank(c); r > 0 && r == best[c.Component] {
			all = append(all, Lead{c.Address, namesOf(service, c.Component, best)})
		}
	}
	slices.SortFunc(all, func(a, b Lead) int {
		return cmp.Or(slices.Compare(a.Names, b.Names), a.Address.Compare(b.Address))
	})
	return all
}

// rank orders the containers to which a name may lead; 0 for one to which it may not.
func rank(c Container) int {
	next, prev := strings.HasSuffix(c.Name, fleet.NextSuffix), strings.HasSuffix(c.Name, fleet.PrevSuffix)
	switch {
	case c.Component == "" || !c.Address.IsValid():
		return 0
	case !next && !prev && c.Running:
		return 4
	case next && c.Running && c.Healthy:
		return 3
	case prev && c.Running:
		return 2
	case !next && !c.Running:
		return 1
	}
	return 0
}

// namesOf returns the names of a component: its own, and that of its container, unless
// another component has that as its own.
func namesOf(service, component string, components map[string]int) []string {
	names := []string{component}
	full := servicedef.ContainerNameFor(service, component)
	if _, taken := components[full]; !taken && full != component {
		names = append(names, full)
	}
	return names
}
