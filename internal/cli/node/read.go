package node

import (
	"context"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/spelling"
	"github.com/metacircular/mcp/workflows/reads"
)

// readNodes reads the node of the first name, or all if there are no names.
func readNodes(ctx context.Context, s *session.Session, names []string) ([]fleet.NodeState, error) {
	var all []fleet.NodeState
	if err := s.Query(ctx, "node", reads.NodeStatesName, nil, &all); err != nil || len(names) == 0 {
		return all, err
	}
	i := slices.IndexFunc(all, func(n fleet.NodeState) bool { return n.Name == names[0] })
	if i < 0 {
		return nil, unknownNode(names[0], all)
	}
	return all[i : i+1], nil
}

// unknownNode returns the fault of a node that does not exist.
func unknownNode(name string, all []fleet.NodeState) error {
	var known []string
	for _, n := range all {
		known = append(known, n.Name)
	}
	f := fault.New(fault.NotFound, "no node is called %s", name).WithHint("list them: mcp node list")
	if near := spelling.Nearest(name, known); len(near) > 0 {
		f = f.WithHint("did you mean %s? mcp node list shows them all", strings.Join(near, " or "))
	}
	return exit.Usage(f)
}
