package plan

import (
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

// sortedNodes returns the names of nodes, sorted.
func sortedNodes[V any](nodes map[string]V) []string {
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
