package edge

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

// Commands returns mcp edge and mcp route, with their verbs.
func Commands(s *session.Session) []*cobra.Command {
	edge := &cobra.Command{
		Use: "edge", Short: "List the edges, and choose which of them serve",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	edge.AddCommand(newList(s), newShow(s), newAdmit(s), newRemove(s))
	route := &cobra.Command{
		Use: "route", Short: "List what the edges serve",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	route.AddCommand(newRouteList(s))
	return []*cobra.Command{edge, route}
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"edge list":   {[]listedEdge{}},
		"edge show":   {shownEdge{}},
		"edge admit":  {admitted{}},
		"edge remove": {removed{}},
		"route list":  {[]listedRoute{}},
	}
}
