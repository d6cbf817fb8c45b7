package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// Release is what the registry holds of a service: the containers that it should
// have, as of the last deployment that succeeded.
type Release struct {
	Service string `json:"service"`
	// Number is that deployment's number; 0 if none has succeeded yet.
	Number int `json:"number"`
	// Newest is the number of the newest deployment of any outcome, and NewestRun
	// its run.
	Newest    int    `json:"newest"`
	NewestRun string `json:"newest_run,omitempty"`
	Active    bool   `json:"active"`
	// Dirty is set when the last undo could not be completed, or when a deploy
	// was lost and none has repaired since what it left.
	Dirty bool `json:"dirty"`
	// Released is when the release took over, zero if that is not known; Retiring is set
	// while it removes the containers before it.
	Released time.Time `json:"released,omitzero"`
	Retiring bool      `json:"retiring,omitempty"`
	// Touched are the nodes of the fleet that a deployment may have left something
	// on: those of every deployment since the last one that ended clean.
	Touched []string `json:"touched,omitempty"`
	// Draining are the nodes of the fleet that get no new container.
	Draining []string `json:"draining,omitempty"`
	// Others are components of other services whose containers have names that this
	// service's may have.
	Others     []Other             `json:"others,omitempty"`
	Definition *servicedef.Service `json:"definition,omitempty"`
	// LostKey is the encryption key with which the definition is lost; "" if it is not.
	LostKey    string            `json:"lost_key,omitempty"`
	Components map[string]Member `json:"components,omitempty"`
	// Jobs are the release's, by name.
	Jobs map[string]Job `json:"jobs,omitempty"`
	// Secrets are the service's own, by name. A deploy and a plan have them.
	Secrets map[string]KeptSecret `json:"secrets,omitempty"`
	// StepImages are the images that only steps of the release have, with their digests.
	StepImages map[string]string `json:"step_images,omitempty"`
	// Adopted are containers of the service that mcp has not started.
	Adopted []Adopted `json:"adopted,omitempty"`
	// Edges are the admitted edges, in the order of their names, and Hosts those of the
	// nodes, by node. A deploy and a plan have both; Hosts is empty without Edges.
	Edges []EdgeHost          `json:"edges,omitempty"`
	Hosts map[string]NodeHost `json:"hosts,omitempty"`
}

// EdgeHost is an edge, as far as a plan depends on it.
type EdgeHost struct {
	Name    string      `json:"name"`
	Machine Machine     `json:"machine"`
	Ports   map[int]int `json:"ports,omitempty"`
}

// NodeHost is a node, as far as edges depend on it.
type NodeHost struct {
	// Address is where its routes are published.
	Address string  `json:"address"`
	Machine Machine `json:"machine"`
}

// Other is a container that the release of another service names.
type Other struct {
	Service   string `json:"service"`
	Node      string `json:"node"`
	Container string `json:"container"`
}

// Members returns the release's components in the order of their names.
func (r Release) Members() []Member {
	members := make([]Member, 0, len(r.Components))
	for _, m := range r.Components {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Component, b.Component) })
	return members
}

// MemberNames returns the names of the release's components, sorted.
func (r Release) MemberNames() []string {
	var names []string
	for _, m := range r.Members() {
		names = append(names, m.Component)
	}
	return names
}

// JobNames returns the names of the release's jobs, sorted.
func (r Release) JobNames() []string { return slices.Sorted(maps.Keys(r.Jobs)) }

// StepNames returns the names of the steps of the release's definition, in their order.
func (r Release) StepNames() (names []string) {
	if r.Definition == nil {
		return nil
	}
	for _, step := range r.Definition.Steps {
		names = append(names, step.Name)
	}
	return names
}

// Has reports whether a container on a node is the release's.
func (r Release) Has(node string, c Container) bool {
	member, released := r.Components[c.Component]
	return c.Service == r.Service && released && member.Node == node && member.CreatedBy(c.Deployment, c.Run)
}

// Adopts reports whether a container is one that the service has adopted.
func (r Release) Adopts(id string) bool {
	return id != "" && slices.ContainsFunc(r.Adopted, func(a Adopted) bool { return a.ID == id })
}

// Published returns the ports that a component's container publishes, without their
// addresses. Known is false if nothing can be published, or if the definition of the
// component is not known.
func (r Release) Published(m Member) (ports []servicedef.Port, known bool) {
	if r.Definition == nil {
		return nil, false
	}
	c, defined := r.Definition.Component(m.Component)
	if !defined || c.Network == "host" || c.Network == "none" {
		return nil, false
	}
	for _, held := range m.Routes {
		port := servicedef.Port{Protocol: held.Transport(), Host: held.HostPort, Container: held.HostPort}
		for _, route := range c.Routes {
			if route.Name == held.Name && route.ContainerPort != 0 {
				port.Container = route.ContainerPort
			}
		}
		ports = append(ports, port)
	}
	return PortsOf(append(ports, c.StaticPorts()...)), true
}

// PortsOf returns ports in one order, each once, without their addresses: engines
// write these in several ways.
func PortsOf(ports []servicedef.Port) []servicedef.Port {
	sorted := slices.Clone(ports)
	for i := range sorted {
		sorted[i].IP = ""
	}
	slices.SortFunc(sorted, func(a, b servicedef.Port) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(sorted)
}

// Waves maps each component of the release's definition to the wave in which a
// deploy starts it; it is empty without a definition.
func (r Release) Waves() map[string]int {
	waves := map[string]int{}
	if r.Definition == nil {
		return waves
	}
	for wave, names := range r.Definition.StartOrder() {
		for _, name := range names {
			waves[name] = wave
		}
	}
	return waves
}

// Member is one component of a Release.
type Member struct {
	Component string `json:"component"`
	Container string `json:"container"`
	Node      string `json:"node"`
	// Deployment is the number of the deployment that created the container, or
	// adopted it; it is older than the release where the component was kept. Run is
	// the run of that deployment, by which a registry that was restored from a backup
	// distinguishes it from another one with that number.
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	// Image is the reference in the definition, Digest that of its manifest.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// Spec is the container's mcp.spec label, or what that would be.
	Spec string `json:"spec"`
	// Active is false where the component was stopped on purpose.
	Active bool    `json:"active"`
	Routes []Route `json:"routes,omitempty"`
	// Address is where the container publishes its ports; "" where that is not known: then
	// it is its node's. A node that gets another one keeps its containers.
	Address string `json:"address,omitempty"`
}

// CreatedBy reports whether the component's container has these labels.
func (m Member) CreatedBy(deployment int, run string) bool {
	return m.Deployment == deployment && m.Run == run
}

// Route is a route with the host port that was allocated for it.
type Route struct {
	Name string `json:"name"`
	Port int    `json:"port"`
	Mode string `json:"mode"`
	// Hostname is the first of its hostnames.
	Hostname string `json:"hostname,omitempty"`
	// Protocol is "udp", or "" for tcp.
	Protocol string `json:"protocol,omitempty"`
	HostPort int    `json:"host_port"`
}

// NewRoute returns a route of a definition with the host port that was allocated for
// it; 0 for none yet.
func NewRoute(r servicedef.Route, hostPort int) Route {
	return Route{Name: r.Name, Port: r.Port, Mode: r.Mode, Hostname: r.Hostname.First(), Protocol: r.Protocol, HostPort: hostPort}
}

// Transport returns the protocol of the host port: "tcp" or "udp".
func (r Route) Transport() string { return cmp.Or(r.Protocol, "tcp") }

// ServiceRecord is a service as the registry keeps it.
type ServiceRecord struct {
	Release Release `json:"release"`
	// Deploying is the number of the deployment under way; 0 if none.
	Deploying int `json:"deploying"`
	// Lost is the number of the newest deployment if that was lost: its workflow was ended
	// in Temporal; 0 if not.
	Lost int `json:"lost,omitempty"`
	// Pending is set when the definition that the operator gave last is not
	// the release's.
	Pending bool `json:"pending"`
	// Forbidden are the components that the policies of their nodes would not let run, at
	// the last observations; a read of the status alone has them.
	Forbidden []string `json:"forbidden,omitempty"`
}

// WithForbidden adds to services the components that policies forbid, according to the
// drift of nodes.
func WithForbidden(services []ServiceRecord, nodes []NodeState) []ServiceRecord {
	for _, n := range nodes {
		for _, d := range n.Drift {
			for i := range services {
				if s := &services[i]; d.Kind == DriftForbidden && d.Service == s.Release.Service {
					s.Forbidden = append(s.Forbidden, d.Component)
				}
			}
		}
	}
	return services
}

// Releases returns the releases of the services.
func Releases(services []ServiceRecord) []Release {
	list := make([]Release, 0, len(services))
	for _, s := range services {
		list = append(list, s.Release)
	}
	return list
}

// Snapshot is a former release, with everything needed to deploy it again.
type Snapshot struct {
	Number     int                `json:"number"`
	Definition servicedef.Service `json:"definition"`
	// Digests maps the references in the definition to what they resolved to.
	Digests map[string]string `json:"digests"`
}
