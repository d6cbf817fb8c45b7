package activities

import (
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// RouteSpec is a route as it travels to a node: its port is allocated.
type RouteSpec struct {
	Name string `json:"name"`
	// HostPort is published on the node's publish address.
	HostPort int `json:"host_port"`
	// ContainerPort is where the container listens; never 0.
	ContainerPort int `json:"container_port"`
}

// ComponentSpec is a component as it travels to a node.
type ComponentSpec struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Definition is the component as the operator wrote it.
	Definition servicedef.Component `json:"definition"`
	// Image is the reference to run, by digest.
	Image string `json:"image"`
	// Spec is the value of the mcp.spec label.
	Spec   string      `json:"spec"`
	Routes []RouteSpec `json:"routes,omitempty"`
}

// Container is the name that the container will have when it is released.
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
		spec := RouteSpec{Name: r.Name, HostPort: host[r.Name], ContainerPort: r.ContainerPort}
		if spec.ContainerPort == 0 {
			spec.ContainerPort = spec.HostPort
		}
		specs = append(specs, spec)
	}
	return specs
}

// containerSpec is what the engine is told. Name is the name to create under;
// publish is the address that routes are published on.
func containerSpec(c ComponentSpec, name, publish string) runtime.ContainerSpec {
	d := c.Definition
	spec := runtime.ContainerSpec{
		Name:    name,
		Image:   c.Image,
		Command: d.Cmd,
		Env:     environment(c),
		Labels: map[string]string{
			runtime.LabelService:    c.Service,
			runtime.LabelComponent:  d.Name,
			runtime.LabelDeployment: strconv.Itoa(c.Deployment),
			runtime.LabelSpec:       c.Spec,
		},
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
	}
	if d.Network == "host" {
		return spec // the container is on the host's ports already
	}
	for _, r := range c.Routes {
		spec.Ports = append(spec.Ports, runtime.PortMapping{
			HostIP: publish, HostPort: r.HostPort, ContainerPort: r.ContainerPort, Protocol: "tcp",
		})
	}
	for _, p := range d.StaticPorts() {
		spec.Ports = append(spec.Ports, runtime.PortMapping{
			HostIP: p.IP, HostPort: p.Host, ContainerPort: p.Container, Protocol: p.Protocol,
		})
	}
	return spec
}

// environment is the component's own, with the port to listen on for each
// route: $PORT_<NAME>, and $PORT where there is just one.
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
