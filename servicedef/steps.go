package servicedef

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// StepComponent returns what a step runs, as a component: its Component, without what
// only a container that serves has, and changed by the step's own keys.
func (s Service) StepComponent(step Step) Component {
	c, found := s.Component(step.Component)
	if !found {
		c.Env = s.Env
	}
	c = c.withoutSchedule()
	c.Routes, c.Ports, c.Health, c.DependsOn = nil, nil, Health{}, nil
	c.Name, c.Order, c.Restart, c.StopTimeout = step.Name, StartFirst, defaultRestart, step.StopTimeout
	for _, field := range []struct {
		own  string
		into *string
	}{
		{step.Image, &c.Image}, {step.Node, &c.Node}, {step.User, &c.User}, {step.Network, &c.Network}, {step.Memory, &c.Memory},
	} {
		if field.own != "" {
			*field.into = field.own
		}
	}
	if c.Node == "" {
		c.Node = s.Node
	}
	if len(step.Cmd) > 0 {
		c.Cmd = step.Cmd
	}
	if step.CPUs != 0 {
		c.CPUs = step.CPUs
	}
	c.Versions = step.Versions
	c.Env, c.SecretEnv = merged(c.Env, step.Env, step.SecretEnv), merged(c.SecretEnv, step.SecretEnv, step.Env)
	c.Secrets = slices.DeleteFunc(slices.Clone(c.Secrets), func(secret Secret) bool {
		return slices.Contains(secretSources(step.Secrets), secret.Source)
	})
	c.Secrets = append(c.Secrets, step.Secrets...)
	c.Volumes = slices.DeleteFunc(slices.Clone(c.Volumes), func(volume string) bool {
		return slices.ContainsFunc(step.Volumes, func(own string) bool { return volumeTarget(own) == volumeTarget(volume) })
	})
	c.Volumes = append(c.Volumes, step.Volumes...)
	return c
}

// volumeTarget returns where a volume is mounted.
func volumeTarget(volume string) string {
	_, rest, _ := strings.Cut(volume, ":")
	target, _, _ := strings.Cut(rest, ":")
	return path.Clean(target)
}

// merged returns the entries of base and own, without those of base that other has
// instead. The map shares nothing with them.
func merged(base, own, other map[string]string) map[string]string {
	all := make(map[string]string, len(base)+len(own))
	for key, value := range base {
		if _, elsewhere := other[key]; !elsewhere {
			all[key] = value
		}
	}
	maps.Copy(all, own)
	if len(all) == 0 {
		return nil
	}
	return all
}

// union returns base with those elements of own added that it lacks.
func union(base, own []string) []string {
	all := slices.Clone(base)
	for _, element := range own {
		if !slices.Contains(all, element) {
			all = append(all, element)
		}
	}
	return all
}

// StartsBefore returns the components that are started before a step runs: those that it
// depends on, and those that these depend on.
func (s Service) StartsBefore(step Step) map[string]bool {
	needed := map[string]bool{}
	var need func(names []string)
	need = func(names []string) {
		for _, name := range names {
			if c, found := s.Component(name); found && !needed[name] {
				needed[name] = true
				need(c.DependsOn)
			}
		}
	}
	need(step.DependsOn)
	return needed
}

// StepImages returns the distinct images of some steps, in their order.
func (s Service) StepImages(steps []Step) []string {
	var images []string
	for _, step := range steps {
		images = union(images, []string{s.StepComponent(step).Image})
	}
	return images
}
