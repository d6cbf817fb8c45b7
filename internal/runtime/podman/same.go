package podman

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// sameContainer reports whether a container is the one that spec asks for.
func sameContainer(info runtime.ContainerInfo, spec runtime.ContainerSpec) bool {
	return sameLabels(info, spec) && samePorts(info, spec)
}

func sameLabels(info runtime.ContainerInfo, spec runtime.ContainerSpec) bool {
	return info.Labels[runtime.LabelDeployment] == spec.Labels[runtime.LabelDeployment] &&
		info.Labels[runtime.LabelSpec] == spec.Labels[runtime.LabelSpec]
}

// samePorts reports whether a container publishes the ports that spec asks for.
// No label tells them: host ports that mcp allocates are no part of what a
// component is.
func samePorts(info runtime.ContainerInfo, spec runtime.ContainerSpec) bool {
	return slices.Equal(canonical(info.Ports), canonical(publishedBy(spec)))
}

// publishedBy are the ports that a container of that spec publishes: none on
// the host's network, where there is nothing to publish.
func publishedBy(spec runtime.ContainerSpec) []servicedef.Port {
	if spec.Network == "host" || spec.Network == "none" {
		return nil
	}
	return spec.Ports
}

// canonical is ports in one order and one spelling: all addresses are "" to
// some versions of podman and 0.0.0.0 to others.
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
	return fault.New(fault.Conflict, "create container %s: a container of that name exists, made by %s", spec.Name, owner)
}
