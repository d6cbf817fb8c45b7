package servicedef

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// maxComponents bounds a service: a deploy's workflow has to hold them all.
const maxComponents = 200

// A DNS label is no longer than that (RFC 1035, 2.3.4). In a pattern the count
// would take every command a third of a millisecond to compile.
const longestLabel = 63

var (
	dnsLabel = pattern(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	dnsPart  = pattern(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
)

// pattern is a regular expression that is compiled when it is first asked: most
// commands read no definition.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// service checks a definition that has its defaults.
func (r *report) service(s *Service) {
	r.label("name", s.Name)
	if s.Node != "" {
		r.hostname("node", s.Node)
	}
	if s.Path != "" && !filepath.IsLocal(s.Path) {
		r.add("path", "must be relative to the workspace and stay in it, not %q", s.Path)
	}
	r.build(s)
	switch n := len(s.Components); {
	case n == 0:
		r.add("components", "is required: a service has at least one component")
	case n > maxComponents:
		r.add("components", "has %d components, but %d is the most", n, maxComponents)
		return // what is wrong with each would not be read
	}
	for i, c := range s.Components {
		key := elementKey("components", i)
		r.node(key, s, c)
		r.component(key, c)
	}
	r.unique(s.componentNames(), func(i int) string { return joinKey(elementKey("components", i), "name") })
	r.dependencies(s)
	r.hostPorts(s)
}

// label checks a name that becomes part of container names and queues.
func (r *report) label(key, name string) {
	switch {
	case name == "":
		r.add(key, "is required")
	case len(name) > longestLabel || !dnsLabel().MatchString(name):
		r.add(key, "must be a DNS label (at most 63 of a-z, 0-9 and inner -), not %q", name)
	}
}

// hostname checks a DNS name.
func (r *report) hostname(key, name string) {
	ok := len(name) <= 253
	for part := range strings.SplitSeq(name, ".") {
		ok = ok && len(part) <= longestLabel && dnsPart().MatchString(part)
	}
	if !ok {
		r.add(key, "must be a DNS name, not %q", name)
	}
}

// node checks where a component runs; the service's own node was checked.
func (r *report) node(key string, s *Service, c Component) {
	switch {
	case c.Node == "" && !r.unusable["node"]:
		r.add(joinKey(key, "node"), "is required, here or as the node of the service")
	case c.Node != s.Node:
		r.hostname(joinKey(key, "node"), c.Node)
	}
}

// build checks that each image to be built belongs to a component, and that
// its Containerfile is in the sources.
func (r *report) build(s *Service) {
	var used []string
	for i, c := range s.Components {
		name := ImageName(c.Image)
		used = append(used, name)
		if _, built := s.Build.Images[name]; built && pinned(c.Image) {
			r.add(joinKey(elementKey("components", i), "image"),
				"must have a tag and no digest, since [build.images] says how to build it: nobody can build to a digest")
		}
	}
	for name, file := range s.Build.Images {
		key := joinKey("build.images", name)
		if !slices.Contains(used, name) {
			r.add(key, "no component uses an image of this name%s", didYouMean(name, used))
		}
		switch {
		case file == "":
			r.add(key, "must name a Containerfile")
		case !filepath.IsLocal(file):
			r.add(key, "must be relative to path and stay in it, not %q", file)
		}
	}
}

// unique checks that no two values are the same, "" apart; at gives the key
// of each.
func (r *report) unique(values []string, at func(i int) string) {
	first := map[string]int{}
	for i, value := range values {
		if before, taken := first[value]; taken && value != "" {
			r.add(at(i), "%q is taken by %s", value, at(before))
			continue
		}
		first[value] = i
	}
}

// componentNames are the names in the file's order.
func (s *Service) componentNames() []string {
	names := make([]string, len(s.Components))
	for i, c := range s.Components {
		names[i] = c.Name
	}
	return names
}
