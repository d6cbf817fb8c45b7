package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/metacircular/mcp/servicedef"
)

// containerChanges compares the settings of two containers that their engine applies. Each
// needs a new container.
func containerChanges(old, new servicedef.Container) []Change {
	before, after := old.Settings(), new.Settings()
	var changes []Change
	for key, value := range after {
		if before[key] != value {
			changes = append(changes, Change{Field: key, From: before[key], To: value})
		}
	}
	for key, value := range before {
		if _, kept := after[key]; !kept {
			changes = append(changes, Change{Field: key, From: value, To: removed})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Field, b.Field) })
	return changes
}

// Lack is a setting that the engine of a node cannot apply.
type Lack struct {
	Key string `json:"key"`
	// Reason completes "the engine of rift …".
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

// LackingError reports that a plan would start a container on a node whose engine cannot
// apply a setting of its definition.
type LackingError struct {
	Component, Node string
	Lack            Lack
}

func (e *LackingError) Error() string {
	return fmt.Sprintf("component %s sets %s, and the engine of node %s %s", e.Component, e.Lack.Key, e.Node, e.Lack.Reason)
}

// lacking fails when the engine of the component's node cannot apply its settings.
func (p *planner) lacking(c servicedef.Component) error {
	if lacks := p.Nodes[c.Node].Lacks[c.Name]; len(lacks) > 0 {
		return &LackingError{Component: c.Name, Node: c.Node, Lack: lacks[0]}
	}
	return nil
}
