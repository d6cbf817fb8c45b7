package servicedef

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Step is a program that a deployment runs to its end, once.
type Step struct {
	Name string `toml:"name" json:"name"`
	// When is StepBefore, the default, or StepAfter.
	When When `toml:"when" json:"when"`
	// Component names the component whose container the step's is like: it has the same
	// image, environment, secrets, volumes, network and user, and no routes and ports.
	// The keys below replace or add to these. See Service.StepComponent.
	Component string `toml:"component" json:"component,omitempty"`
	Image     string `toml:"image" json:"image,omitempty"`
	// Node is the component's, or else the service's, where it is empty.
	Node string `toml:"node" json:"node,omitempty"`
	// Cmd is the command. With Component it is required.
	Cmd       []string          `toml:"cmd" json:"cmd,omitempty"`
	Env       map[string]string `toml:"env" json:"env,omitempty"`
	Secrets   []Secret          `toml:"secrets" json:"secrets,omitempty"`
	SecretEnv map[string]string `toml:"secret_env" json:"secret_env,omitempty"`
	// Versions are those of all secrets of StepComponent that are the service's own.
	Versions SecretVersions `toml:"-" json:"secret_versions,omitempty"`
	Volumes  []string       `toml:"volumes" json:"volumes,omitempty"`
	User     string         `toml:"user" json:"user,omitempty"`
	Network  string         `toml:"network" json:"network,omitempty"`
	Memory   string         `toml:"memory" json:"memory,omitempty"`
	CPUs     float64        `toml:"cpus" json:"cpus,omitempty"`
	// DependsOn names components that are started and healthy before the step runs. All
	// others start after a step that runs before the start.
	DependsOn []string `toml:"depends_on" json:"depends_on,omitempty"`
	// Timeout is how long it may run; 30 m by default.
	Timeout Duration `toml:"timeout" json:"timeout"`
	// StopTimeout is the time between the stop signal and the kill; 10 s by default.
	StopTimeout Duration `toml:"stop_timeout" json:"stop_timeout"`
	// Retries is how often it is run again after it has failed, has taken too long, or
	// was lost with its node.
	Retries int `toml:"retries" json:"retries,omitempty"`
	// Rollback makes rollbacks run it, too.
	Rollback bool `toml:"rollback" json:"rollback,omitempty"`
}

// When is when a deployment runs a step.
type When string

const (
	// StepBefore is before the new containers start, but for those that the step depends
	// on.
	StepBefore When = "before"
	// StepAfter is once all new containers are healthy and have their names, before the
	// deployment is the release.
	StepAfter When = "after"
)

// KeySteps is the key of the steps of a service, which a node must know.
const KeySteps = "steps"

const (
	defaultStepTimeout = Duration(30 * time.Minute)
	// maxSteps bounds the steps of a service, and maxStepRetries the runs of one: one
	// workflow history holds them all.
	maxSteps, maxStepRetries = 50, 20
	// maxStepTimeout is the longest that a step may take.
	maxStepTimeout = Duration(7 * 24 * time.Hour)
)

func (s *Step) setDefaults(text map[string]any) {
	setDefault(text, "when", &s.When, StepBefore)
	setDefault(text, "timeout", &s.Timeout, defaultStepTimeout)
	setDefault(text, "stop_timeout", &s.StopTimeout, defaultStopTimeout)
}

// StepComponent returns what a step runs, as a component: that of its Component, without
// what only a container that serves has, and changed by the step's own keys.
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

// merged returns a map with the entries of another added, and without those that a third
// one has instead. It shares nothing with them.
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

// union returns a list with the elements of another added that it lacks.
func union(base, own []string) []string {
	all := slices.Clone(base)
	for _, element := range own {
		if !slices.Contains(all, element) {
			all = append(all, element)
		}
	}
	return all
}

// Step returns the step of that name, if there is one.
func (s Service) Step(name string) (Step, bool) {
	for _, step := range s.Steps {
		if step.Name == name {
			return step, true
		}
	}
	return Step{}, false
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
