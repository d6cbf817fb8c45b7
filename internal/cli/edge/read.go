package edge

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

// readEdges reads every edge, and asks the admitted ones for their status.
func readEdges(ctx context.Context, s *session.Session) (reads.EdgesResult, error) {
	var all reads.EdgesResult
	err := s.Query(ctx, "edge", reads.EdgesName, reads.EdgesInput{}, &all)
	return all, err
}

// find returns the edge of a name.
func find(all reads.EdgesResult, name string) (fleet.EdgeState, error) {
	i := slices.IndexFunc(all.Edges, func(e fleet.EdgeState) bool { return e.Name == name })
	if i < 0 {
		return fleet.EdgeState{}, unknownEdge(name, all.Edges)
	}
	return all.Edges[i], nil
}

// unknownEdge returns the fault of an edge that does not exist.
func unknownEdge(name string, all []fleet.EdgeState) error {
	var known []string
	for _, e := range all {
		known = append(known, e.Name)
	}
	f := fault.New(fault.NotFound, "no edge is called %s", name).
		WithHint("an edge is here once its mcp-edge has announced it; list them: mcp edge list")
	if near := spelling.Nearest(name, known); len(near) > 0 {
		f = f.WithHint("did you mean %s? mcp edge list shows them all", strings.Join(near, " or "))
	}
	return exit.Usage(f)
}

// changeEdge runs a workflow that changes the record of an edge.
func changeEdge(ctx context.Context, s *session.Session, name, verb, workflow string, in, out any) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	s.Forget()
	return s.Read(ctx, c, "edge", workflow, in, out, session.ChangingEdge(name, verb))
}
