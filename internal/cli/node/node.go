package node

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

// Command returns mcp node, with its verbs, and those of other groups.
func Command(s *session.Session, more ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: "node", Short: "List the nodes, and choose which of them get containers",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the nodes of the fleet", Args: session.Args(cobra.NoArgs),
			Long: `List shows each node that a worker has announced: whether it answers, and since
when; where its routes are published; which podman and which mcp it has.`,
			Example: "  mcp node list\n  mcp node list --json | jq -r '.[].name'",
			RunE:    func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), s) },
		},
		&cobra.Command{
			Use: "status [NODE]", Short: "Show how busy and how full the nodes are", Args: session.Args(cobra.MaximumNArgs(1)),
			Long: `Status shows each node at its last answer: its load, memory and disk, and how many
containers it has.`,
			Example: "  mcp node status\n  mcp node status rift",
			RunE:    func(cmd *cobra.Command, names []string) error { return runStatus(cmd.Context(), s, names) },
		},
		newShow(s), newPolicy(s), newDrain(s), newActivate(s), newRemove(s), newSignatures(s),
	)
	cmd.AddCommand(more...)
	return cmd
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"node list":     {[]listedNode{}},
		"node status":   {[]nodeStatus{}},
		"node show":     {shownNode{}},
		"node policy":   {nodePolicy{}},
		"node drain":    {drained{}},
		"node activate": {drained{}},
		"node remove":   {removed{}},

		"node signatures": {[]podmanFile{}},
	}
}
