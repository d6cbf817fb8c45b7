package fleet

import (
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
	// Newest is the number of the newest deployment of any outcome.
	Newest int  `json:"newest"`
	Active bool `json:"active"`
	// Dirty is set when the last undo could not be completed, or when a deploy
	// was lost and none has repaired since what it left.
	Dirty bool `json:"dirty"`
	// Released is when the release took over, zero if that is not known; Retiring is set
	// while it removes the containers before it.
	Released time.Time `json:"released,omitzero"`
	Retiring bool      `json:"retiring,omitempty"`
	// Touched are the nodes that a deployment may have left something on:
	// those of every definition since the last deployment that ended clean.
	Touched []string `json:"touched,omitempty"`
	// Draining are the nodes of the fleet that get no new container.
	Draining   []string            `json:"draining,omitempty"`
	Definition *servicedef.Service `json:"definition,omitempty"`
	Components map[string]Member   `json:"components,omitempty"`
	// Adopted are containers of the service that mcp has not started.
	Adopted []Adopted `json:"adopted,omitempty"`
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

// Has reports whether a container on a node is the release's.
func (r Release) Has(node string, c Container) bool {
	member, released := r.Components[c.Component]
	return c.Service == r.Service && released && member.Node == node && member.Deployment == c.Deployment
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
	// adopted it; it is older than the release where the component was kept.
	Deployment int `json:"deployment"`
	// Image is the reference in the definition, Digest that of its manifest.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// Spec is the container's mcp.spec label, or what that would be.
	Spec string `json:"spec"`
	// Active is false where the component was stopped on purpose.
	Active bool    `json:"active"`
	Routes []Route `json:"routes,omitempty"`
}

// Route is a route with the host port that was allocated for it.
type Route struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Mode     string `json:"mode"`
	Hostname string `json:"hostname,omitempty"`
	HostPort int    `json:"host_port"`
}

// ServiceRecord is a service as the registry keeps it.
type ServiceRecord struct {
	Release Release `json:"release"`
	// Deploying is the number of the deployment under way; 0 if none.
	Deploying int `json:"deploying"`
	// Pending is set when the definition that the operator gave last is not
	// the release's.
	Pending bool `json:"pending"`
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
