package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of what is read: far above what people write, and far below what costs memory.
const (
	maxFileSize = 1 << 20
	maxFiles    = 50
	maxNodes    = 200_000 // with every use of an alias counted
	maxDepth    = 100
	maxText     = 128 << 10
)

// reader turns YAML into Nodes.
type reader struct {
	file string
	// replace replaces the variables of a text.
	replace func(n *Node) error
	nodes   *int
	// open are the anchors that are being read, for one that contains itself.
	open map[*yaml.Node]bool
}

// readYAML reads one document.
func readYAML(file string, nodes *int, replace func(n *Node) error) (*Node, error) {
	data, err := readBounded(file, maxFileSize)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Message: "is empty"}
	} else if err != nil {
		return nil, &Error{file, 0, "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: "), err}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Line: more.Line, Message: "has more than one YAML document"}
	}
	r := &reader{file: file, nodes: nodes, replace: replace, open: map[*yaml.Node]bool{}}
	root, err := r.node(document.Content[0], 0)
	if err != nil {
		return nil, err
	}
	if root.Kind != Map {
		return nil, root.Errorf("is no Compose file: it must be a map with the key services")
	}
	return root, nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", file)
	case info.Size() > limit:
		return nil, fmt.Errorf("%s has %d KiB; the limit is %d KiB", file, info.Size()>>10, limit>>10)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func (r *reader) node(y *yaml.Node, depth int) (*Node, error) {
	n := &Node{File: r.file, Line: y.Line}
	if *r.nodes++; *r.nodes > maxNodes {
		return nil, n.Errorf("has more than %d values, with those that aliases repeat", maxNodes)
	}
	if depth > maxDepth {
		return nil, n.Errorf("is nested deeper than %d levels", maxDepth)
	}
	switch y.Tag {
	case "!reset":
		n.reset = true
	case "!override":
		n.override = true
	}
	switch y.Kind {
	case yaml.AliasNode:
		return r.alias(n, y, depth)
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			inner, err := r.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, inner)
		}
		return n, nil
	case yaml.MappingNode:
		n.Kind = Map
		return n, r.mapping(n, y, depth)
	}
	return n, r.scalar(n, y)
}

func (r *reader) scalar(n *Node, y *yaml.Node) error {
	if y.ShortTag() == "!!null" || y.Kind == 0 {
		return nil
	}
	if len(y.Value) > maxText {
		return n.Errorf("a text has %d KiB; the limit is %d KiB", len(y.Value)>>10, maxText>>10)
	}
	n.Kind, n.Text, n.Type = Scalar, y.Value, y.ShortTag()
	return r.replace(n)
}

// alias reads what an alias stands for once more, at the place of the anchor.
func (r *reader) alias(n *Node, y *yaml.Node, depth int) (*Node, error) {
	if r.open[y.Alias] {
		return nil, n.Errorf("the anchor %s contains itself", y.Value)
	}
	r.open[y.Alias] = true
	defer delete(r.open, y.Alias)
	return r.node(y.Alias, depth+1)
}

// mapping reads a map. Its own keys win over those that a merge key brings.
func (r *reader) mapping(n *Node, y *yaml.Node, depth int) error {
	var merged []*Node
	lines := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		inner, err := r.node(value, depth+1)
		if err != nil {
			return err
		}
		if key.Kind != yaml.ScalarNode {
			return &Error{File: r.file, Line: key.Line, Message: "a key must be a text"}
		}
		if key.Value == "<<" {
			merged = append(merged, inner)
			continue
		}
		if line, twice := lines[key.Value]; twice {
			return &Error{File: r.file, Line: key.Line, Message: fmt.Sprintf("%s is a key already, in line %d", key.Value, line)}
		}
		lines[key.Value] = key.Line
		if value.Kind != yaml.AliasNode {
			inner.Line = key.Line
		}
		n.set(key.Value, inner)
	}
	for _, m := range merged {
		from := m.Items
		if m.Kind == Map {
			from = []*Node{m}
		}
		for _, one := range from {
			for _, key := range one.Keys {
				if n.fields[key] == nil {
					n.set(key, one.fields[key])
				}
			}
		}
	}
	return nil
}
