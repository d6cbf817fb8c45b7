package servicedef

import (
	"cmp"
	"slices"
)

// SecretUser is a component, or a step, that needs secrets on a node.
type SecretUser struct {
	// Component is its name, "step migrate" for a step.
	Component string
	Node      string
	// Secrets are the names that its secrets can have in the service, sorted, each once.
	Secrets []string
}

// SecretUsers returns what needs secrets of a service, in the order of its definition:
// components, jobs among them, and then steps.
func SecretUsers(s Service) []SecretUser {
	var users []SecretUser
	add := func(name string, c Component) {
		var secrets []string
		for _, reference := range c.SecretNames() {
			secrets = append(secrets, s.secretNames(reference)...)
		}
		if slices.Sort(secrets); len(secrets) > 0 {
			users = append(users, SecretUser{Component: name, Node: cmp.Or(c.Node, s.Node), Secrets: slices.Compact(secrets)})
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
