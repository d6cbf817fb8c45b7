package servicedef

import (
	"encoding/json"
	"path/filepath"
)

// Validate checks a definition that did not come from a file and has its defaults
// filled in. The error is an Errors, without lines.
func (s Service) Validate() error {
	r := &report{file: s.File}
	r.service(&s)
	return r.problems.OrNil()
}

// ValidateNames checks the names of a definition and of its components, which become
// parts of the names of containers, queues and records, and the nodes. The error is an
// Errors, without lines. A definition that was once valid still passes if Validate has
// become stricter since.
func (s Service) ValidateNames() error {
	r := &report{file: s.File}
	r.label("name", s.Name)
	for i, c := range s.Components {
		r.label(componentKey(i, "name"), c.Name)
		r.hostname(componentKey(i, "node"), c.Node)
	}
	for i, step := range s.Steps {
		r.label(stepKey(i, "name"), step.Name)
		r.hostname(stepKey(i, "node"), s.StepComponent(step).Node)
	}
	return r.problems.OrNil()
}

// maxComponents bounds the components of a service, because one workflow history holds the
// steps of them all.
const maxComponents = 200

// service checks a definition whose defaults are filled in.
func (r *report) service(s *Service) {
	r.label("name", s.Name)
	if s.Node != "" {
		r.hostname("node", s.Node)
	}
	if s.Path != "" && !filepath.IsLocal(s.Path) {
		r.add("path", "must be relative to the workspace and stay in it, not %q", s.Path)
	}
	r.build(s)
	r.sharedEnv(s)
	switch n := len(s.Components); {
	case n == 0:
		r.add("components", "is required: a service has at least one component")
	case n > maxComponents:
		r.add("components", "has %d components; the limit is %d", n, maxComponents)
		return // a list of that many problems helps no reader
	}
	for i, c := range s.Components {
		key := elementKey("components", i)
		r.node(key, s, c)
		r.component(key, c)
	}
	r.unique(s.componentNames(), func(i int) string { return componentKey(i, "name") })
	r.dependencies(s)
	r.jobs(s)
	r.steps(s)
	r.hostPorts(s)
	r.names(s)
	r.claims(s)
	r.size(s)
}

// node checks the node of a component; that of the service is checked already.
func (r *report) node(key string, s *Service, c Component) {
	switch {
	case c.Node == "" && !r.unusable["node"]:
		r.add(joinKey(key, "node"), "is required, here or as the node of the service")
	case c.Node != s.Node:
		r.hostname(joinKey(key, "node"), c.Node)
	}
}

// maxEncoded bounds a definition with the contents of its files and with the shared
// variables in each component. It is part of several inputs of Temporal, which limits each
// to 2 MiB.
const maxEncoded = 768 << 10

// size checks how large a definition is when it travels.
func (r *report) size(s *Service) {
	text, err := json.Marshal(s)
	if err == nil && len(text) > maxEncoded {
		r.add("", "is %d KiB with the contents of its files and with the shared variables of each component; the limit is %d KiB",
			len(text)>>10, maxEncoded>>10)
	}
}
