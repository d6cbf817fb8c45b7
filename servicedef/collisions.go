package servicedef

import "fmt"

// Collisions finds containers of one name on one node, within a service or
// across several: component b of service a and service a-b are both "a-b".
// The error is an Errors, each reported at the later of the two.
func Collisions(services []*Service) error { return collisions(services).orNil() }

func collisions(services []*Service) Errors {
	type place struct{ node, container string }
	type holder struct{ service, component, file string }
	held := map[place]holder{}
	var problems Errors
	for _, s := range services {
		for i, c := range s.Components {
			at := place{c.Node, ContainerNameFor(s.Name, c.Name)}
			if other, taken := held[at]; taken {
				problems = append(problems, Problem{
					File: s.File,
					Key:  joinKey(elementKey("components", i), "name"),
					Message: fmt.Sprintf("component %s of service %s makes a container %s on node %s, and so does component %s of service %s%s",
						c.Name, s.Name, at.container, at.node, other.component, other.service, inFile(other.file)),
				})
				continue
			}
			held[at] = holder{s.Name, c.Name, s.File}
		}
	}
	return problems
}

// CollisionsOf finds what collides with one service among the valid others in
// a directory. Files that are broken or collide among themselves do not
// matter to it.
func CollisionsOf(dir string, service *Service) error {
	files, err := readDir(dir)
	if err != nil {
		return err
	}
	var problems Errors
	for _, f := range files {
		if f.err != nil || f.service.Name == service.Name {
			continue
		}
		problems = append(problems, collisions([]*Service{f.service, service})...)
	}
	return problems.orNil()
}

// inFile is " (shop.toml)", or "" for what was not read from a file.
func inFile(file string) string {
	if file == "" {
		return ""
	}
	return " (" + file + ")"
}
