package podman

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// sameContainer reports whether a container has the labels and ports of spec.
func sameContainer(info runtime.ContainerInfo, spec runtime.ContainerSpec) bool {
	return spec.MatchesLabels(info.Labels) && samePorts(info, spec)
}

// samePorts reports whether a container publishes the ports of spec. LabelSpec
// does not cover them, because the host ports that mcp allocates are not part of
// a component's definition.
func samePorts(info runtime.ContainerInfo, spec runtime.ContainerSpec) bool {
	return slices.Equal(canonical(info.Ports), canonical(spec.Published()))
}

// canonical returns ports in one order and one notation. The address for all
// interfaces is "" in some versions of podman and 0.0.0.0 in others.
func canonical(ports []servicedef.Port) []servicedef.Port {
	ports = slices.Clone(ports)
	for i, p := range ports {
		if address, err := netip.ParseAddr(p.IP); err == nil {
			ports[i].IP = address.String()
		}
		if ports[i].IP == "0.0.0.0" {
			ports[i].IP = ""
		}
		ports[i].Protocol = cmp.Or(p.Protocol, "tcp")
	}
	slices.SortFunc(ports, func(a, b servicedef.Port) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Protocol, b.Protocol),
			cmp.Compare(a.IP, b.IP), cmp.Compare(a.Container, b.Container))
	})
	return slices.Compact(ports)
}

func conflict(info runtime.ContainerInfo, spec runtime.ContainerSpec) error {
	owner := "something other than mcp"
	if deployment := info.Labels[runtime.LabelDeployment]; deployment != "" {
		owner = "deployment " + deployment
	}
	return fault.New(fault.Conflict, "create container %s: a container with that name exists, created by %s", spec.Name, owner)
}
