package source

import (
	"slices"
	"strings"
)

// The keys of a service that Compose merges in a way of their own: see chapter "Merge" of
// the Compose specification.
var (
	// mappings are maps that may be written as a list of NAME=VALUE.
	mappings = []string{"annotations", "environment", "labels", "sysctls", "build.args", "build.labels", "build.additional_contexts", "deploy.labels"}
	// replaced are replaced as a whole.
	replaced = []string{"command", "entrypoint", "healthcheck.test"}
	// sequences are lists that may be written as one text.
	sequences = []string{"dns", "dns_search", "dns_opt", "env_file", "label_file", "tmpfs"}
	// named are maps by name that may be written as a list of names.
	named = []string{"depends_on", "networks"}
)

// mergeService merges a service over the one that it extends, or that an earlier file
// contains.
func mergeService(base, over *Node) *Node { return merge(base.copy(), over, "") }

// mergeProject merges one file over an earlier one.
func mergeProject(base, over *Node) *Node {
	for _, section := range over.Keys {
		former, value := base.Get(section), over.fields[section]
		if former.Empty() || former.Kind != Map || value.Kind != Map {
			base.set(section, value)
			continue
		}
		for _, name := range value.Keys {
			if one := former.Get(name); !one.Empty() && !value.fields[name].Empty() {
				former.set(name, merge(one.copy(), value.fields[name], ""))
			} else if one == nil || !value.fields[name].Empty() {
				former.set(name, value.fields[name])
			}
		}
	}
	return base
}

func merge(base, over *Node, key string) *Node {
	if over.override || base == nil || slices.Contains(replaced, key) {
		return over.copy()
	}
	base, over = normal(base, key), normal(over.copy(), key)
	switch {
	case base.Kind == Map && over.Kind == Map:
		if key == "logging" && otherDriver(base, over) {
			return over
		}
		for _, name := range over.Keys {
			value := over.fields[name]
			if value.reset {
				base.remove(name)
				continue
			}
			base.set(name, merge(base.Get(name), value, join(key, name)))
		}
		base.File, base.Line = over.File, over.Line
		return base
	case base.Kind == List && over.Kind == List:
		base.Items = unique(append(base.Items, over.Items...), key)
		return base
	case over.Kind == Null && base.Kind != Scalar:
		return base
	}
	return over
}

func otherDriver(base, over *Node) bool {
	a, b := base.Get("driver"), over.Get("driver")
	return !a.Empty() && !b.Empty() && a.Text != b.Text
}

// normal returns the long form of a value that has two.
func normal(n *Node, key string) *Node {
	switch {
	case key == "build" && n.Kind == Scalar:
		m := n.mapOf()
		m.set("context", n)
		return m
	case slices.Contains(mappings, key) && n.Kind == List:
		m := n.mapOf()
		for _, item := range n.Items {
			name, value, given := strings.Cut(item.Text, "=")
			field := item.scalar(value)
			field.Variables = item.Variables
			if !given {
				field.Kind = Null
			}
			m.set(name, field)
		}
		return m
	case slices.Contains(named, key) && n.Kind == List:
		m := n.mapOf()
		for _, item := range n.Items {
			m.set(item.Text, &Node{File: item.File, Line: item.Line})
		}
		return m
	case slices.Contains(sequences, key) && n.Kind == Scalar:
		return &Node{File: n.File, Line: n.Line, Kind: List, Items: []*Node{n}}
	}
	return n
}

func (n *Node) mapOf() *Node {
	return &Node{File: n.File, Line: n.Line, Kind: Map, override: n.override, reset: n.reset}
}

// unique drops the items of a list that later ones replace.
func unique(items []*Node, key string) []*Node {
	var list []*Node
	places := map[string]int{}
	for _, item := range items {
		id := identity(item, key)
		if i, known := places[id]; known {
			list[i] = item
			continue
		}
		places[id] = len(list)
		list = append(list, item)
	}
	return list
}

// identity is the key that distinguishes the items of a list.
func identity(item *Node, key string) string {
	switch key {
	case "volumes", "devices":
		if item.Kind == Map {
			return item.Get("target").text()
		}
		parts := strings.Split(item.Text, ":")
		return parts[min(1, len(parts)-1)]
	case "secrets", "configs":
		if item.Kind == Map {
			if target := item.Get("target").text(); target != "" {
				return target
			}
			return item.Get("source").text()
		}
	}
	if item.Kind == Scalar {
		return item.Text
	}
	var parts []string
	for _, name := range slices.Sorted(slices.Values(item.Keys)) {
		parts = append(parts, name+"="+item.fields[name].text())
	}
	return strings.Join(parts, ",")
}

func (n *Node) text() string {
	if n == nil {
		return ""
	}
	return n.Text
}

// Normalize returns a service with the long form of each value that has two.
func Normalize(service *Node) *Node {
	for _, key := range slices.Concat(mappings, named, sequences, []string{"build"}) {
		parent, name := service, key
		if table, inner, nested := strings.Cut(key, "."); nested {
			parent, name = service.Get(table), inner
		}
		if field := parent.Get(name); field != nil {
			parent.set(name, normal(field, key))
		}
	}
	return service
}
