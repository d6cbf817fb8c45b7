package servicedef

import (
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/envvalue"
)

// PortEnv returns the environment variable that holds the port of a route:
// "PORT_REST" for "rest".
func PortEnv(route string) string {
	return "PORT_" + strings.ToUpper(strings.ReplaceAll(route, "-", "_"))
}

// addEnv adds variables that the component does not set itself.
func (c *Component) addEnv(shared map[string]string) {
	for name, value := range shared {
		_, set := c.Env[name]
		_, secret := c.SecretEnv[name]
		if set || secret {
			continue
		}
		if c.Env == nil {
			c.Env = map[string]string{}
		}
		c.Env[name] = value
	}
}

// env checks the names of variables, which may have any character but "=" and NUL,
// their lengths, and that none is a variable that mcp sets for a route.
func (r *report) env(key string, c Component, env map[string]string) {
	ports := map[string]string{}
	for _, route := range c.Routes {
		ports[PortEnv(route.Name)] = route.Name
	}
	if len(c.Routes) == 1 {
		ports["PORT"] = c.Routes[0].Name
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if route, taken := ports[name]; taken {
			r.add(joinKey(key, name), "is set by mcp, to the port of route %s", route)
		} else if name == "" || strings.ContainsAny(name, "=\x00") {
			r.add(joinKey(key, name), `must be the name of a variable, without "=" and NUL`)
		} else {
			r.argument(joinKey(key, name), name+"="+env[name])
			if _, err := envvalue.Parse(env[name]); err != nil {
				r.add(joinKey(key, name), "%v", err)
			}
		}
	}
}

// sharedEnv checks the variables of the service, whose problems are not repeated for
// each component.
func (r *report) sharedEnv(s *Service) {
	r.env("env", Component{}, s.Env)
	for _, c := range s.Components {
		for _, route := range c.Routes {
			if _, taken := s.Env[PortEnv(route.Name)]; taken {
				r.add(joinKey("env", PortEnv(route.Name)), "is set by mcp, to the port of route %s of component %s", route.Name, c.Name)
			}
		}
		if _, taken := s.Env["PORT"]; taken && len(c.Routes) == 1 {
			r.add("env.PORT", "is set by mcp, to the port of route %s of component %s", c.Routes[0].Name, c.Name)
		}
	}
	r.sourcePaths("env_file", s.EnvFile)
	for i, c := range s.Components {
		r.sourcePaths(componentKey(i, "env_file"), c.EnvFile)
	}
}

// sourcePaths checks paths in the workspace.
func (r *report) sourcePaths(key string, paths []string) {
	for i, name := range paths {
		r.sourcePath(elementKey(key, i), name)
	}
}
