package plan

import (
	"fmt"
	"sort"

	"github.com/metacircular/mcp/internal/fleet"
)

// planner makes one plan.
type planner struct {
	Input
	plan Plan
	// current holds, by node and name, the service's containers as they will be
	// after the recovery.
	current map[string]map[string]fleet.Container
}

// warn adds a warning to the plan.
func (p *planner) warn(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

// sortedNodes returns the names of nodes, sorted.
func sortedNodes[V any](nodes map[string]V) []string {
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
