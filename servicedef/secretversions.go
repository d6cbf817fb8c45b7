package servicedef

import "slices"

// WithSecrets returns the service with other versions of secrets: those that choose
// returns for a component or a step, given its versions and the names of its secrets.
func (s Service) WithSecrets(choose func(user string, has SecretVersions, names []string) SecretVersions) Service {
	s.Components, s.Steps = slices.Clone(s.Components), slices.Clone(s.Steps)
	for i := range s.Components {
		c := &s.Components[i]
		c.Versions = choose(c.Name, c.Versions, c.SecretNames())
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		step.Versions = choose(step.Name, step.Versions, s.StepComponent(*step).SecretNames())
	}
	return s
}

// WithoutSecrets returns the service without versions of secrets.
func (s Service) WithoutSecrets() Service {
	return s.WithSecrets(func(string, SecretVersions, []string) SecretVersions { return nil })
}

// HasSecrets reports whether the service has versions of secrets.
func (s Service) HasSecrets() bool {
	return slices.ContainsFunc(s.Components, func(c Component) bool { return len(c.Versions) > 0 }) ||
		slices.ContainsFunc(s.Steps, func(step Step) bool { return len(step.Versions) > 0 })
}
