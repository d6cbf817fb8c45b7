// Package source reads Compose files: YAML with its aliases and merge keys, variables,
// extends, include and profiles. Every value keeps the file and the line that it is from.
//
// The loader of compose-go is not used, because it is linked with a validator of JSON
// schemas whose initialization takes six milliseconds of every command. Its packages for
// variables are; a test compares what both make of the same files.
package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind is what a Node is in YAML.
type Kind int

// The kinds.
const (
	Null Kind = iota
	Scalar
	Map
	List
)

// Node is a value of a Compose file.
type Node struct {
	File string
	Line int
	Kind Kind
	// Text is that of a scalar, with its variables replaced, and Type its type in YAML:
	// "!!str", "!!int", "!!bool" or "!!float".
	Text, Type string
	// Keys are those of a map, in the order of the file.
	Keys   []string
	fields map[string]*Node
	// Items are those of a list.
	Items []*Node
	// Variables are those that were replaced in Text.
	Variables []string

	reset, override, taken, entered bool
}

// Get returns a field of a map; nil if there is none, or n is nil or no map.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	return n.fields[key]
}

// Empty reports whether there is no value.
func (n *Node) Empty() bool { return n == nil || n.Kind == Null }

// Take marks a value as taken over, with all that it contains, and returns it.
func (n *Node) Take() *Node {
	if n != nil {
		n.taken = true
	}
	return n
}

// Enter marks a map as understood: what is not taken over of it is visited part by part.
func (n *Node) Enter() *Node {
	if n != nil {
		n.entered = true
	}
	return n
}

// Left calls visit for each value that was not taken over. One whose parts were not
// taken over either is visited as a whole. Extensions, whose names begin with "x-", are
// left out.
func (n *Node) Left(key string, visit func(key string, n *Node)) {
	switch {
	case n == nil || n.taken:
	case !n.partly():
		visit(key, n)
	default:
		for _, name := range n.Keys {
			if !strings.HasPrefix(name, "x-") {
				n.fields[name].Left(join(key, name), visit)
			}
		}
		for i, item := range n.Items {
			item.Left(fmt.Sprintf("%s[%d]", key, i), visit)
		}
	}
}

// partly reports whether some part of a value was taken over.
func (n *Node) partly() bool {
	if n.entered {
		return true
	}
	some := func(part *Node) bool { return part.taken || part.partly() }
	for _, field := range n.fields {
		if some(field) {
			return true
		}
	}
	return slices.ContainsFunc(n.Items, some)
}

func join(key, name string) string { return strings.TrimPrefix(key+"."+name, ".") }

// set sets a field of a map.
func (n *Node) set(key string, value *Node) {
	if n.fields == nil {
		n.fields = map[string]*Node{}
	}
	if n.fields[key] == nil {
		n.Keys = append(n.Keys, key)
	}
	n.fields[key] = value
}

func (n *Node) remove(key string) {
	delete(n.fields, key)
	n.Keys = slices.DeleteFunc(n.Keys, func(k string) bool { return k == key })
}

// copy copies a value with all that it contains.
func (n *Node) copy() *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Keys, c.fields, c.Items = slices.Clone(n.Keys), nil, nil
	for _, key := range n.Keys {
		if c.fields == nil {
			c.fields = map[string]*Node{}
		}
		c.fields[key] = n.fields[key].copy()
	}
	for _, item := range n.Items {
		c.Items = append(c.Items, item.copy())
	}
	return &c
}

// scalar makes a text in the place of another value.
func (n *Node) scalar(text string) *Node {
	return &Node{File: n.File, Line: n.Line, Kind: Scalar, Text: text}
}

// Error is a mistake in a Compose file.
type Error struct {
	File    string
	Line    int
	Message string

	cause error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// Unwrap returns the error by which the mistake was found, if any.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error at the place of a value. It wraps what %w stands for, as
// fmt.Errorf does.
func (n *Node) Errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{n.File, n.Line, err.Error(), errors.Unwrap(err)}
}
