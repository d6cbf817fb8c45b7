package plan_test

import (
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

const (
	oldDigest = "sha256:old"
	newDigest = "sha256:new"
)

// shop is a service of two components on one node.
func shop() servicedef.Service {
	return servicedef.Service{
		Name: "shop", Node: "rift", Active: true,
		Components: []servicedef.Component{
			{Name: "api", Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst,
				Routes: []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4"}}},
			{Name: "web", Node: "rift", Image: "r.example/web:v1", Order: servicedef.StartFirst, DependsOn: []string{"api"}},
		},
	}
}

func digests() map[string]string {
	return map[string]string{"r.example/api:v1": oldDigest, "r.example/web:v1": oldDigest, "r.example/api:v2": newDigest}
}

// released is the release of a definition, as deployment 3 left it.
func released(definition servicedef.Service) fleet.Release {
	r := fleet.Release{Service: definition.Name, Number: 3, Newest: 3, Active: true, Definition: &definition, Components: map[string]fleet.Member{}}
	for _, c := range definition.Components {
		r.Components[c.Name] = fleet.Member{
			Component: c.Name, Container: servicedef.ContainerNameFor(definition.Name, c.Name), Node: c.Node,
			Deployment: 3, Image: c.Image, Digest: oldDigest, Spec: plan.SpecHash(c, oldDigest), Active: true,
		}
	}
	return r
}

// running are the containers that a release should have on a node.
func running(r fleet.Release, node string) plan.Node {
	n := plan.Node{Reachable: true}
	for _, m := range r.Members() {
		if m.Node == node {
			n.Containers = append(n.Containers, container(m, m.Container))
		}
	}
	return n
}

func container(m fleet.Member, name string) fleet.Container {
	return fleet.Container{Name: name, Service: "shop", Component: m.Component, Deployment: m.Deployment, Spec: m.Spec, Running: true}
}

// steady is a service that runs as released.
func steady() plan.Input {
	definition := shop()
	r := released(definition)
	return plan.Input{Desired: shop(), Release: r, Nodes: map[string]plan.Node{"rift": running(r, "rift")}, Digests: digests()}
}

// actions renders a plan's steps: "~api@rift =web@rift".
func actions(p plan.Plan) string {
	signs := map[plan.Action]string{plan.Create: "+", plan.Replace: "~", plan.Keep: "=", plan.Stop: ".", plan.Remove: "-"}
	var words []string
	for _, s := range p.Steps {
		words = append(words, signs[s.Action]+s.Component+"@"+s.Node)
	}
	return strings.Join(words, " ")
}
