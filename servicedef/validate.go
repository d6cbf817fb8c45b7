package servicedef

import "path/filepath"

// maxComponents bounds a service, because one workflow history holds the steps
// of them all.
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
