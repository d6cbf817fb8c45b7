package servicedef

import "cmp"

// SecretUser is a component, or a step, that needs secrets on a node.
type SecretUser struct {
	// Component is its name, "step migrate" for a step.
	Component string
	Node      string
	// Secrets are sorted, each once.
	Secrets []string
}

// SecretUsers returns what needs secrets of a service, in the order of its definition:
// components, jobs among them, and then steps.
func SecretUsers(s Service) []SecretUser {
	var users []SecretUser
	add := func(name string, c Component) {
		if secrets := c.SecretNames(); len(secrets) > 0 {
			users = append(users, SecretUser{Component: name, Node: cmp.Or(c.Node, s.Node), Secrets: secrets})
		}
	}
	for _, c := range s.Components {
		add(c.Name, c)
	}
	for _, step := range s.Steps {
		add("step "+step.Name, s.StepComponent(step))
	}
	return users
}
