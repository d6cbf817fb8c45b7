package compose

import (
	"cmp"
	"fmt"

	"github.com/metacircular/mcp/servicedef"
)

func (e *exported) network() {
	switch name := e.component.Network; name {
	case "":
	case "host", "none", "bridge":
		e.out.set("network_mode", name)
	default:
		e.out.set("networks", []any{name})
		declared := inner("name", name)
		declared.set("external", true)
		e.ex.networks.set(name, declared)
	}
	delete(e.left, "network")
}

func (e *exported) dependencies() {
	m := &mapping{}
	for _, name := range e.component.DependsOn {
		condition := "service_started"
		if other, _ := e.ex.service.Component(name); len(other.Health.Cmd) > 0 {
			condition = "service_healthy"
		}
		m.set(name, inner("condition", condition))
	}
	if len(m.keys) > 0 {
		e.out.set("depends_on", m)
	}
	delete(e.left, "depends_on")
}

func (e *exported) health() {
	h := e.component.Health
	left, _ := e.left["health"].(map[string]any)
	if len(h.Cmd) == 0 {
		if h.HTTP != "" || h.TCP {
			e.note("health", "Compose runs checks inside of the container only: it has none here")
		}
		return
	}
	m := inner("test", escaped(append([]any{"CMD"}, list(tableIn(e.full["health"])["cmd"])...)))
	for _, key := range []string{"interval", "timeout", "retries", "start_period"} {
		m.set(key, tableIn(e.full["health"])[key])
		delete(left, key)
	}
	e.out.set("healthcheck", m)
	if delete(left, "cmd"); len(left) == 0 {
		delete(e.left, "health")
	}
}

// firstPort is the port of the first program that takes its port from the environment.
const firstPort = 8080

// routes exposes the ports of the routes. Programs that take them from the environment
// find them there.
func (e *exported) routes() {
	var exposed []any
	env := &mapping{}
	if given, ok := e.out.values["environment"].(*mapping); ok {
		env = given
	}
	for i, r := range e.component.Routes {
		port := r.ContainerPort
		if port == 0 {
			port = firstPort + i
			env.set(servicedef.PortEnv(r.Name), fmt.Sprint(port))
			if len(e.component.Routes) == 1 {
				env.set("PORT", fmt.Sprint(port))
			}
		}
		exposed = append(exposed, fmt.Sprintf("%d/%s", port, r.Transport()))
		place := cmp.Or(r.Hostname.First(), "no hostname")
		e.note("routes", "%s, port %d, %s: give Compose a proxy for it, or publish port %d", r.Name, r.Port, place, port)
	}
	if exposed != nil {
		e.out.set("expose", exposed)
	}
	if len(env.keys) > 0 {
		e.out.set("environment", env)
	}
}
