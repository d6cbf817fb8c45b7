package servicedef

import (
	"slices"
	"strings"
	"time"
)

const (
	// maxSteps bounds the steps of a service, and maxStepRetries the runs of one: one
	// workflow history holds them all.
	maxSteps, maxStepRetries = 50, 20
	// maxStepTimeout is the longest that a step may take.
	maxStepTimeout = Duration(7 * 24 * time.Hour)
)

// steps checks the steps of a service whose components are checked.
func (r *report) steps(s *Service) {
	if n := len(s.Steps); n > maxSteps {
		r.add(KeySteps, "has %d steps; the limit is %d", n, maxSteps)
		return
	}
	for i, step := range s.Steps {
		r.step(s, elementKey(KeySteps, i), step)
	}
	first := map[string]string{}
	for i, name := range s.componentNames() {
		first[name] = componentKey(i, "name")
	}
	for i, step := range s.Steps {
		at := stepKey(i, "name")
		if before, taken := first[step.Name]; taken && step.Name != "" {
			r.add(at, "%q is taken by %s", step.Name, before)
			continue
		}
		first[step.Name] = at
	}
	r.stepCycles(s)
}

// step applies the rules that concern one step.
func (r *report) step(s *Service, key string, step Step) {
	at := func(name string) string { return joinKey(key, name) }
	r.label(at("name"), step.Name)
	if step.When != StepBefore && step.When != StepAfter {
		r.add(at("when"), "must be %q or %q, not %q", StepBefore, StepAfter, step.When)
	}
	names := s.componentNames()
	like, found := s.Component(step.Component)
	switch {
	case step.Component != "" && !found:
		r.add(at("component"), "the service has no component %q%s", step.Component, didYouMean(step.Component, names))
	case step.Component == "" && step.Image == "":
		r.add(at("image"), "is required, or component, the one whose container the step's is like")
	case step.Component != "" && len(step.Cmd) == 0:
		r.add(at("cmd"), "is required: without it the step would run the program of %s, which does not end", like.Name)
	}
	if step.Image != "" {
		r.image(at("image"), step.Image)
	}
	r.stepNode(s, key, step)
	own := Component{Env: step.Env, Secrets: step.Secrets, SecretEnv: step.SecretEnv, Network: step.Network, Memory: step.Memory, CPUs: step.CPUs}
	for i, argument := range step.Cmd {
		r.argument(elementKey(at("cmd"), i), argument)
	}
	r.env(at("env"), own, step.Env)
	r.secrets(key, own)
	r.volumes(at("volumes"), step.Volumes)
	r.network(key, own)
	r.limits(key, own)
	r.user(at("user"), step.User)
	for i, name := range step.DependsOn {
		if !slices.Contains(names, name) {
			r.add(elementKey(at("depends_on"), i), "the service has no component %q%s", name, didYouMean(name, names))
		}
	}
	r.unique(step.DependsOn, func(i int) string { return elementKey(at("depends_on"), i) })
	r.stepTimes(key, step)
}

func (r *report) stepNode(s *Service, key string, step Step) {
	switch node := s.StepComponent(step).Node; {
	case node == "" && !r.unusable["node"]:
		r.add(joinKey(key, "node"), "is required, here, or as the node of the component or of the service")
	case step.Node != "":
		r.hostname(joinKey(key, "node"), step.Node)
	}
}

func (r *report) stepTimes(key string, step Step) {
	switch {
	case step.Timeout <= 0:
		r.add(joinKey(key, "timeout"), "must be greater than 0")
	case step.Timeout > maxStepTimeout:
		r.add(joinKey(key, "timeout"), "must be at most %s", "168h, a week")
	}
	if step.StopTimeout < 0 {
		r.add(joinKey(key, "stop_timeout"), "must not be negative")
	}
	if step.Retries < 0 || step.Retries > maxStepRetries {
		r.add(joinKey(key, "retries"), "must be between 0 and %d, not %d", maxStepRetries, step.Retries)
	}
}

// stepCycles reports each step that waits for itself: by components that it depends on
// and that name it, or a later step, in their depends_on.
func (r *report) stepCycles(s *Service) {
	order := map[string]int{} // of the steps that run before the start
	for i, step := range s.Steps {
		if step.When == StepBefore {
			order[step.Name] = i
		}
	}
	for i, step := range s.Steps {
		if step.When != StepBefore {
			continue
		}
		if path := s.pathToStep(step.DependsOn, order, i); path != nil {
			path = append([]string{step.Name}, path...)
			if last := path[len(path)-1]; last != step.Name {
				path = append(path, step.Name) // which runs before that one
			}
			r.add(stepKey(i, "depends_on"), "the step and components wait for each other: %s", strings.Join(path, " → "))
		}
	}
}

// pathToStep returns the first path along depends_on, from components, to a step that is
// not before the one with that index; nil if there is none.
func (s *Service) pathToStep(from []string, order map[string]int, index int) []string {
	seen := map[string]bool{}
	var search func(names []string) []string
	search = func(names []string) []string {
		for _, name := range names {
			if at, step := order[name]; step && at >= index {
				return []string{name}
			}
			c, found := s.Component(name)
			if !found || seen[name] {
				continue
			}
			seen[name] = true
			if path := search(c.DependsOn); path != nil {
				return append([]string{name}, path...)
			}
		}
		return nil
	}
	return search(from)
}
