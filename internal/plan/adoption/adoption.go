// Package adoption decides which containers that mcp did not create become components of
// a service: unchanged, where they run. It is pure, as plan is.
package adoption

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// Input is everything that an adoption depends on.
type Input struct {
	Desired servicedef.Service
	Release fleet.Release
	// Deployment is the number of the deployment that adopts, and Run its run.
	Deployment int
	Run        string
	// Services are the names of all services, by which a container's name is split.
	Services []string
	// Digests are those of the definition's images, as far as the image registry
	// has answered.
	Digests map[string]string
	// Nodes holds every container of each node, whether mcp's or not.
	Nodes map[string][]fleet.Container
}

// Adoption maps containers to the components that they become.
type Adoption struct {
	Service string `json:"service"`
	// Adopted are the containers, and Members the components that they become.
	Adopted []fleet.Adopted `json:"adopted"`
	Members []fleet.Member  `json:"members"`
	// Ports are the host ports of the containers, by component.
	Ports map[string][]servicedef.Port `json:"ports,omitempty"`
	// Definition is the release's, with the adopted components as they were
	// found: a plan shows where the operator's definition differs.
	Definition servicedef.Service `json:"definition"`
	// Managed are the components that mcp runs already, Absent those without a
	// container.
	Managed []string `json:"managed"`
	Absent  []string `json:"absent"`
	// Left are containers that have a name of the service's and are not adopted, and
	// why.
	Left []string `json:"left"`
	// Problems are why nothing may be adopted: what would fail a deploy, and what only the
	// operator can decide.
	Problems []string `json:"problems"`
	// Names are the container names that were searched for, on these Nodes.
	Names []string `json:"names"`
	Nodes []string `json:"nodes"`
}

// Make matches the containers that run with the components of a definition,
// by their names. A container is adopted unchanged: on the node where it runs, with
// its image and its ports.
func Make(in Input) Adoption {
	a := adopter{Input: in, candidates: map[string][]located{}, managed: map[string]bool{}}
	a.Services = append(slices.Clone(in.Services), in.Desired.Name)
	a.result = Adoption{
		Service: in.Desired.Name, Adopted: []fleet.Adopted{}, Members: in.Release.Members(), Ports: map[string][]servicedef.Port{},
		Managed: []string{}, Absent: []string{}, Left: []string{}, Problems: []string{}, Names: []string{}, Nodes: sortedNodes(in.Nodes),
	}
	a.sort()
	components := []servicedef.Component{}
	for _, c := range in.Desired.Lasting() {
		a.result.Names = append(a.result.Names, servicedef.ContainerNameFor(in.Desired.Name, c.Name))
		if container, ok := a.choose(c.Name); ok {
			components = append(components, a.take(c, container))
		}
	}
	a.define(components)
	return a.result
}

type adopter struct {
	Input
	result Adoption
	// candidates are, by component, the containers that have its name and are not of
	// the release.
	candidates map[string][]located
	managed    map[string]bool
}

// located is a container of a node.
type located struct {
	fleet.Container
	node string
}

func (l located) String() string { return fmt.Sprintf("container %s on %s", l.Name, l.node) }

// sort sorts the containers: the release's, those of a component's name, and those
// that only have a name of the service's.
func (a *adopter) sort() {
	for _, node := range a.result.Nodes {
		for _, c := range a.Nodes[node] {
			c = fleet.Recognise(node, []fleet.Container{c}, a.Release)[0]
			if a.Release.Has(node, c) {
				a.managed[c.Component] = true
				continue
			}
			service, component := servicedef.SplitContainerName(c.Name, a.Services)
			if service != a.Desired.Name {
				continue
			}
			f := located{c, node}
			wanted, defined := a.Desired.Component(component)
			defined = defined && !wanted.IsJob()
			if !defined && c.Service != "" {
				continue // a leftover of mcp's
			}
			if !defined {
				a.result.Left = append(a.result.Left, fmt.Sprintf("%s: the definition has no component %s", f, component))
				continue
			}
			a.candidates[component] = append(a.candidates[component], f)
		}
	}
}

// choose returns the container of a component, if there is exactly one.
func (a *adopter) choose(component string) (located, bool) {
	candidates := a.candidates[component]
	switch {
	case len(candidates) == 0 && a.managed[component]:
		a.result.Managed = append(a.result.Managed, component)
		return located{}, false
	case len(candidates) == 0:
		a.result.Absent = append(a.result.Absent, component)
		return located{}, false
	case len(candidates) > 1 || a.managed[component]:
		a.refuse("component %s could be %s", component, a.alternatives(component))
		return located{}, false
	}
	switch c := candidates[0]; {
	case c.Service != "" && c.Service != a.Desired.Name:
		a.refuse("%s belongs to service %s", c, c.Service)
	case c.Service != "":
		a.refuse("%s is not the release's, though mcp has made it: mcp deploy %s repairs that", c, a.Desired.Name)
	case !c.Running:
		a.refuse("%s does not run: start it, or remove it", c)
	default:
		return c, true
	}
	return located{}, false
}

func (a *adopter) refuse(format string, args ...any) {
	a.result.Problems = append(a.result.Problems, fmt.Sprintf(format, args...))
}

// alternatives names the containers that a component could be.
func (a *adopter) alternatives(component string) string {
	var names []string
	if a.managed[component] {
		names = append(names, "the one that mcp runs")
	}
	for _, c := range a.candidates[component] {
		names = append(names, c.String())
	}
	return strings.Join(names, " or ")
}

// take makes a container a member of the release, and returns the component as it
// runs.
func (a *adopter) take(c servicedef.Component, container located) servicedef.Component {
	digest := container.Digest
	if _, given, byDigest := strings.Cut(container.Image, "@"); byDigest {
		digest = given // the image registry's, while an engine may have another
	}
	// A container that runs by digest may have the very image that the definition
	// names.
	if servicedef.ByDigest(c.Image, a.Digests[c.Image]) != container.Image {
		c.Image = container.Image
	}
	c.Node = container.node
	routes := publishedAs(&c, container.Ports)
	spec := plan.SpecHash(c, digest)
	a.result.Adopted = append(a.result.Adopted, fleet.Adopted{
		ID: container.ID, Node: container.node, Service: a.Desired.Name, Component: c.Name, Deployment: a.Deployment, Run: a.Run, Spec: spec,
	})
	a.result.Ports[c.Name] = held(container.Ports, routes)
	a.result.Members = append(slices.DeleteFunc(a.result.Members, func(m fleet.Member) bool { return m.Component == c.Name }), fleet.Member{
		Component: c.Name, Container: container.Name, Node: container.node, Deployment: a.Deployment, Run: a.Run,
		Image: c.Image, Digest: digest, Spec: spec, Active: true, Routes: routes,
	})
	return c
}

// define makes the definition of the release that then runs.
func (a *adopter) define(components []servicedef.Component) {
	defined := a.Desired
	defined.Components = components
	var names []string
	for _, c := range components {
		names = append(names, c.Name)
	}
	a.result.Definition = plan.Merge(a.Release.Definition, defined, names)
	a.result.Definition.Active = true // it runs
}

// sortedNodes returns the names of nodes, sorted; an empty list if there is none.
func sortedNodes(nodes map[string][]fleet.Container) []string {
	names := slices.AppendSeq([]string{}, maps.Keys(nodes))
	slices.Sort(names)
	return names
}
