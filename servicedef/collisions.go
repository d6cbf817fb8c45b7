package servicedef

import (
	"fmt"
	"os"
)

// Collisions finds containers of one name on one node, within a service or
// across several: component b of service a and service a-b are both "a-b".
// The error is an Errors, each reported at the later of the two.
func Collisions(services []*Service) error { return collisions(services).orNil() }

func collisions(services []*Service) Errors {
	type place struct{ node, container string }
	type holder struct {
		service *Service
		index   int
	}
	held := map[place]holder{}
	var problems Errors
	for _, s := range services {
		for i, c := range s.Components {
			at := place{c.Node, ContainerNameFor(s.Name, c.Name)}
			if other, taken := held[at]; taken {
				key := nameKey(i)
				problems = append(problems, Problem{
					File: s.File, Line: lineIn(s.File, key), Key: key,
					Message: fmt.Sprintf("component %s of service %s makes a container %s on node %s, and so does component %s of service %s%s",
						c.Name, s.Name, at.container, at.node, other.service.Components[other.index].Name, other.service.Name,
						inFile(other.service.File, nameKey(other.index))),
				})
				continue
			}
			held[at] = holder{s, i}
		}
	}
	return problems
}

// nameKey is the key of a component's name.
func nameKey(component int) string { return joinKey(elementKey("components", component), "name") }

// inFile is " (shop.toml:7)", or "" for what was not read from a file.
func inFile(file, key string) string {
	if file == "" {
		return ""
	}
	if line := lineIn(file, key); line > 0 {
		return fmt.Sprintf(" (%s:%d)", file, line)
	}
	return " (" + file + ")"
}

// lineIn is where a file has a key; 0 where it cannot be read. Services do not
// carry their lines along, and so few of them collide that the file is read
// once more.
func lineIn(file, key string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	return newPositions(text).line(key)
}
