package activities

import (
	"cmp"
	"maps"
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
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
	// Again is set where the container replaces one of the release that is gone. The policy
	// of the node lets that run which it has let run before, and an image that is here needs
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

func (c ComponentSpec) identity() identity { return identity{c.Deployment, c.Run} }

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

// containerSpec returns the specification for the engine. Name is the name to create
// the container under; publish is the address that routes are published on.
func containerSpec(c ComponentSpec, name, publish string) runtime.ContainerSpec {
	d := c.Definition
	spec := runtime.ContainerSpec{
		Name:        name,
		Image:       c.Image,
		Command:     d.Cmd,
		Env:         environment(c),
		Labels:      labelsOf(c),
		Secrets:     d.Secrets,
		SecretEnv:   d.SecretEnv,
		Volumes:     d.Volumes,
		User:        d.User,
		Network:     d.Network,
		Restart:     d.Restart,
		Memory:      d.MemoryBytes(),
		CPUs:        d.CPUs,
		LogSize:     d.LogBytes(),
		StopTimeout: time.Duration(d.StopTimeout),
		Container:   d.Container,
	}
	if d.Network == "host" {
		return spec // the container is on the host's ports already
	}
	for _, r := range c.Routes {
		spec.Ports = append(spec.Ports, servicedef.Port{IP: publish, Host: r.HostPort, Container: r.ContainerPort, Protocol: cmp.Or(r.Protocol, "tcp")})
	}
	spec.Ports = append(spec.Ports, d.StaticPorts()...)
	return spec
}

// labelsOf returns the container's labels, mcp's and the operator's.
func labelsOf(c ComponentSpec) map[string]string {
	labels := maps.Clone(c.Definition.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[runtime.LabelService] = c.Service
	labels[runtime.LabelComponent] = c.Definition.Name
	labels[runtime.LabelDeployment] = strconv.Itoa(c.Deployment)
	labels[runtime.LabelRun] = c.Run
	labels[runtime.LabelSpec] = c.Spec
	return labels
}

// environment returns the component's variables, with the port to listen on for each
// route: $PORT_<NAME>, and $PORT if there is just one.
func environment(c ComponentSpec) map[string]string {
	env := make(map[string]string, len(c.Definition.Env)+len(c.Routes)+1)
	for key, value := range c.Definition.Env {
		env[key] = value
	}
	for _, r := range c.Routes {
		env[servicedef.PortEnv(r.Name)] = strconv.Itoa(r.ContainerPort)
	}
	if len(c.Routes) == 1 {
		env["PORT"] = strconv.Itoa(c.Routes[0].ContainerPort)
	}
	return env
}
