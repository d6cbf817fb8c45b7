package edge

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/workflows/reads"
)

// Completers returns the completion of edges.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"EDGE": complete}
}

// complete finds the edges, each with its state beside it.
func complete(ctx context.Context, s *session.Session, cfg *config.Config, _ []string, _ string) []cobra.Completion {
	states := session.Remembered(ctx, s, cfg, "edges", false, func(ctx context.Context) (map[string]string, error) {
		var all reads.EdgesResult
		err := s.Peek(ctx, cfg, reads.EdgesName, reads.EdgesInput{}, &all)
		byName := map[string]string{}
		for _, e := range all.Edges {
			byName[e.Name] = shownState(stateOf(e, all.Silent[e.Name]), e.Stale)
		}
		return byName, err
	})
	var list []cobra.Completion
	for _, name := range sortedKeys(states) {
		list = append(list, cobra.CompletionWithDesc(name, states[name]))
	}
	return list
}
