package onnode

import (
	"cmp"
	"maps"
	"strconv"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

func identityOf(c activities.ComponentSpec) identity { return identity{c.Deployment, c.Run} }

// containerSpec returns the specification for the engine. Name is the name to create
// the container under; publish is the address that routes are published on.
func containerSpec(c activities.ComponentSpec, name, publish string) runtime.ContainerSpec {
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
func labelsOf(c activities.ComponentSpec) map[string]string {
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
func environment(c activities.ComponentSpec) map[string]string {
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
