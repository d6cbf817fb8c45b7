package node

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// Completers returns the completions of nodes, for arguments and for flags.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"NODE": complete, "--node": complete}
}

// complete finds the nodes that definitions name and the live ones, each of these
// with its state beside it.
func complete(ctx context.Context, s *session.Session, cfg *config.Config, _ []string, word string) []cobra.Completion {
	found, begun := map[string]string{}, false
	for _, service := range s.Defined(cfg) {
		for _, node := range service.Nodes {
			found[node] = ""
			begun = begun || strings.HasPrefix(node, word)
		}
	}
	maps.Copy(found, session.Remembered(ctx, s, cfg, "nodes", begun, func(ctx context.Context) (map[string]string, error) {
		var nodes []fleet.NodeState
		err := s.Peek(ctx, cfg, reads.NodeStatesName, nil, &nodes)
		return states(nodes), err
	}))
	var list []cobra.Completion
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, cobra.CompletionWithDesc(name, found[name]))
	}
	return list
}

// states returns the states of nodes, by their names.
func states(nodes []fleet.NodeState) map[string]string {
	live := map[string]string{}
	for _, n := range nodes {
		live[n.Name] = shownState(stateOf(n), n.Draining, overdueSince(n.Overdue, n.Observed))
	}
	return live
}
