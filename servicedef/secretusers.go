package servicedef

import (
	"cmp"
	"maps"
	"slices"
)

// SecretUser is a component, a step or a build that needs secrets of a service.
type SecretUser struct {
	// Component is its name, "step migrate" for a step, "build of api" for a build.
	Component string
	// Node is where it needs them; "" for a build, which needs them on the builder.
	Node string
	// Secrets are the names that its secrets can have in the service, sorted, each once.
	Secrets []string
}

// SecretUsers returns what needs secrets of a service, in the order of its definition:
// components, jobs among them, steps, and then builds.
func SecretUsers(s Service) []SecretUser {
	var users []SecretUser
	add := func(name string, c Component) {
		var secrets []string
		for _, reference := range c.SecretNames() {
			secrets = append(secrets, s.SecretCandidates(reference)...)
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
	for _, image := range slices.Sorted(maps.Keys(s.Build.Images)) {
		var secrets []string
		for _, reference := range s.Build.Images[image].OwnSecrets() {
			secrets = append(secrets, s.SecretCandidates(reference)...)
		}
		if slices.Sort(secrets); len(secrets) > 0 {
			users = append(users, SecretUser{Component: "build of " + image, Secrets: slices.Compact(secrets)})
		}
	}
	return users
}
