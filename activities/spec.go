package activities

import (
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// RouteSpec is a route as it is sent to a node, with its allocated port.
type RouteSpec struct {
	Name string `json:"name"`
	// HostPort is published on the node's publish address.
	HostPort int `json:"host_port"`
	// ContainerPort is where the container listens; never 0.
	ContainerPort int `json:"container_port"`
	// Protocol is "udp", or "" for tcp.
	Protocol string `json:"protocol,omitempty"`
}

// ComponentSpec is a component as it is sent to a node.
type ComponentSpec struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	// Definition is the operator's.
	Definition servicedef.Component `json:"definition"`
	// Image is the reference to run, by digest.
	Image string `json:"image"`
	// Spec is the value of the mcp.spec label.
	Spec string `json:"spec"`
	// Again is set if the container replaces one of the release that is gone. The policy of
	// the node then lets run what it has let run before, and an image that is here needs
	// no signature.
	Again  bool        `json:"again,omitempty"`
	Routes []RouteSpec `json:"routes,omitempty"`
	// Envelopes are those of the versions of secrets that the definition names, for a step
	// that creates the container.
	Envelopes []secrets.Envelope `json:"envelopes,omitempty"`
}

// Container returns the name that the container gets at the cut-over.
func (c ComponentSpec) Container() string {
	return servicedef.ContainerNameFor(c.Service, c.Definition.Name)
}

// NewRouteSpecs joins a component's routes with the host ports allocated for
// them. Without a fixed container port the container listens on the host
// port, so that host networking works too.
func NewRouteSpecs(routes []servicedef.Route, ports []fleet.Route) []RouteSpec {
	host := map[string]int{}
	for _, p := range ports {
		host[p.Name] = p.HostPort
	}
	specs := make([]RouteSpec, 0, len(routes))
	for _, r := range routes {
		spec := RouteSpec{Name: r.Name, HostPort: host[r.Name], ContainerPort: r.ContainerPort, Protocol: r.Protocol}
		if spec.ContainerPort == 0 {
			spec.ContainerPort = spec.HostPort
		}
		specs = append(specs, spec)
	}
	return specs
}
