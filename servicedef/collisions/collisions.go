// Package collisions finds what several services cannot have at the same time.
package collisions

import (
	"fmt"
	"os"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/keypath"
	"github.com/metacircular/mcp/servicedef/lines"
	"github.com/metacircular/mcp/servicedef/overlay"
)

// Containers finds containers of the same name on one node, within a service or
// across several: component b of service a and service a-b both make "a-b". The
// error is a servicedef.Errors; each problem is reported at the later of the two.
func Containers(services []*servicedef.Service) error {
	type place struct{ node, container string }
	type holder struct {
		service *servicedef.Service
		index   int
	}
	held := map[place]holder{}
	var problems servicedef.Errors
	for _, s := range services {
		for i, c := range s.Components {
			at := place{c.Node, servicedef.ContainerNameFor(s.Name, c.Name)}
			if other, taken := held[at]; taken {
				key := componentKey(i, "name")
				problems = append(problems, problemAt(s, key, "component %s of service %s makes a container %s on node %s, and so does component %s of service %s%s",
					c.Name, s.Name, at.container, at.node, other.service.Components[other.index].Name, other.service.Name,
					inFile(other.service, componentKey(other.index, "name"))))
				continue
			}
			held[at] = holder{s, i}
		}
	}
	return problems.OrNil()
}

// problemAt returns a problem with a key of a service, at the place of the key in its
// file.
func problemAt(s *servicedef.Service, key, format string, args ...any) servicedef.Problem {
	p := servicedef.Problem{File: s.File, Message: fmt.Sprintf(format, args...)}
	p.Line, p.Key = placeIn(s, key)
	return p
}

// inFile returns " (shop.toml:7)", or "" without a file.
func inFile(s *servicedef.Service, key string) string {
	if s.File == "" {
		return ""
	}
	if line, _ := placeIn(s, key); line > 0 && key != "" {
		return fmt.Sprintf(" (%s:%d)", s.File, line)
	}
	return " (" + s.File + ")"
}

// placeIn returns the line of a service's key in its file, and the key there, which is
// below the key of an environment if the service is in one. The line is 0 if the file
// cannot be read. A Service does not carry its lines, and collisions are rare enough to
// read the file again.
func placeIn(s *servicedef.Service, key string) (int, string) {
	text, err := os.ReadFile(s.File)
	if err != nil {
		return 0, key
	}
	var table map[string]any
	if _, err := toml.Decode(string(text), &table); err == nil {
		for _, e := range overlay.Cut(table) {
			if name, _ := table["name"].(string); e.Service(name) == s.Name {
				key, _ = e.Apply(table).Origin(key)
			}
		}
	}
	return lines.Of(text).Line(key), key
}

// Ports finds host ports that components of two services name on one node.
// Such services cannot both be deployed. The error is a servicedef.Errors; each problem
// is reported at the later of the two.
func Ports(services []*servicedef.Service) error {
	type place struct {
		node, protocol string
		port           int
	}
	held := map[place]*servicedef.Service{}
	var problems servicedef.Errors
	for _, s := range services {
		for i, c := range s.Components {
			for j, text := range c.Ports {
				ports, _ := servicedef.ParsePorts([]string{text}) // Parse has refused what is not well formed
				for _, p := range ports {
					at := place{c.Node, p.Protocol, p.Host}
					other := held[at]
					if held[at] = s; other == nil || other == s {
						continue
					}
					key := keypath.Element(componentKey(i, "ports"), j)
					problems = append(problems, problemAt(s, key, "host port %d/%s on node %s is taken by service %s%s",
						p.Host, p.Protocol, c.Node, other.Name, inFile(other, "")))
					break // one problem is enough for a range
				}
			}
		}
	}
	return problems.OrNil()
}

// Endpoints finds endpoints of the edges that two services claim. Such services
// cannot both be deployed. The error is a servicedef.Errors; each problem is reported at
// the later of the two.
func Endpoints(services []*servicedef.Service) error {
	type name struct {
		hostname string
		port     int
	}
	type holder struct {
		servicedef.Place
		service *servicedef.Service
		key     string
	}
	held := map[name][]holder{}
	var problems servicedef.Errors
	for _, s := range services {
		for i, c := range s.Components {
			for j, route := range c.Routes {
				key := keypath.Element(componentKey(i, "routes"), j)
				for _, at := range route.Places() {
					name := name{at.Hostname, at.Port}
					k := slices.IndexFunc(held[name], func(h holder) bool { return h.service != s && h.Collides(at) })
					held[name] = append(held[name], holder{at, s, key})
					if k < 0 {
						continue
					}
					other := held[name][k]
					problems = append(problems, problemAt(s, key, "%s is claimed by service %s%s", at, other.service.Name, inFile(other.service, other.key)))
				}
			}
		}
	}
	return problems.OrNil()
}

// componentKey returns the key of a field of the component with that index.
func componentKey(i int, field string) string {
	return keypath.Join(keypath.Element("components", i), field)
}
