package servicedef

import (
	"slices"
	"strings"
)

// dependencies checks that each component depends only on other components of
// the service, without a cycle.
func (r *report) dependencies(s *Service) {
	names := s.componentNames()
	for i, c := range s.Components {
		key := componentKey(i, "depends_on")
		r.unique(c.DependsOn, func(j int) string { return elementKey(key, j) })
		for j, name := range c.DependsOn {
			switch {
			case name == c.Name:
				r.add(elementKey(key, j), "%s cannot depend on itself", name)
			case s.runsBefore(name):
			case !slices.Contains(names, name):
				r.add(elementKey(key, j), "the service has no component %q%s", name, didYouMean(name, names))
			}
		}
	}
	r.cycles(s)
}

// runsBefore reports whether a name is that of a step that runs before the start: the
// step ends before any component starts that it does not depend on.
func (s *Service) runsBefore(name string) bool {
	step, found := s.Step(name)
	return found && step.When == StepBefore
}

// cycles reports each cycle once, at the component that closes it.
func (r *report) cycles(s *Service) {
	index := map[string]int{}
	for i, c := range s.Components {
		index[c.Name] = i
	}
	done := map[string]bool{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		path = append(path, name)
		c := s.Components[index[name]]
		for _, next := range c.DependsOn {
			if _, exists := index[next]; !exists || next == name || done[next] {
				continue
			}
			if start := slices.Index(path, next); start >= 0 {
				r.add(componentKey(index[name], "depends_on"),
					"the components wait for each other: %s", strings.Join(append(slices.Clone(path[start:]), next), " → "))
				continue
			}
			visit(next)
		}
		path = path[:len(path)-1]
		done[name] = true
	}
	for _, c := range s.Components {
		if !done[c.Name] {
			visit(c.Name)
		}
	}
}

// StartOrder groups the components' names into waves: the components of a wave
// depend only on those of earlier waves and keep the file's order. Jobs are in none,
// because no deploy starts them. Dependencies that the service does not have count as met;
// components in a cycle, which Parse refuses, make the last wave.
func (s Service) StartOrder() [][]string {
	waiting := map[string]bool{}
	for _, c := range s.Lasting() {
		waiting[c.Name] = true
	}
	var waves [][]string
	for len(waiting) > 0 {
		var wave, rest []string
		for _, c := range s.Components {
			blocked := slices.ContainsFunc(c.DependsOn, func(name string) bool { return waiting[name] })
			switch {
			case !waiting[c.Name]:
			case blocked:
				rest = append(rest, c.Name)
			default:
				wave = append(wave, c.Name)
			}
		}
		if len(wave) == 0 {
			return append(waves, rest)
		}
		for _, name := range wave {
			delete(waiting, name)
		}
		waves = append(waves, wave)
	}
	return waves
}
