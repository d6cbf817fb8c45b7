package identity

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/identity"
)

// Commands returns mcp identity, with its verbs, and mcp join.
func Commands(s *session.Session) []*cobra.Command {
	cmd := &cobra.Command{
		Use: "identity", Short: "Create, list and revoke the identities that a gateway lets in",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCreate(s), newList(s), newRevoke(s), newRotate(s))
	return []*cobra.Command{cmd, newJoin(s, "")}
}

// NodeJoin returns mcp node join.
func NodeJoin(s *session.Session) *cobra.Command { return newJoin(s, identity.Node) }

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"identity create": {created{}},
		"identity list":   {[]listed{}},
		"identity revoke": {revoked{}},
		"identity rotate": {rotated{}},
		"join":            {joined{}},
		"node join":       {joined{}},
	}
}
