package servicedef

import (
	"cmp"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
)

// ContainerNameFor returns the name of a component's container: "shop-api", or
// "shop" for the component that has the name of its service.
func ContainerNameFor(service, component string) string {
	if service == component {
		return service
	}
	return service + "-" + component
}

// SplitContainerName is the inverse of ContainerNameFor. Because both names may
// contain a "-", it tries the given services first, the longest first, and only
// then splits at the first "-". A name without one is that of a service and of
// its component.
func SplitContainerName(name string, services []string) (service, component string) {
	if slices.Contains(services, name) {
		return name, name
	}
	longest := slices.Clone(services)
	slices.SortFunc(longest, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, s := range longest {
		if component, ok := strings.CutPrefix(name, s+"-"); ok && component != s {
			return s, component
		}
	}
	service, component, ok := strings.Cut(name, "-")
	if !ok || service == component {
		// "a-a" cannot be component a of service a: that container is "a".
		return name, name
	}
	return service, component
}

// IsLabel reports whether a text is a DNS label, as the names of services and of
// components are.
func IsLabel(name string) bool { return names.IsLabel(name) }
