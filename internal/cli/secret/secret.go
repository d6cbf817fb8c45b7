package secret

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows"
)

// Command returns mcp secret, with its verbs.
func Command(s *session.Session, deploy Deploy) *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret", Short: "Set the secrets of services, sealed to the nodes that need them",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSet(s, deploy), newList(s), newShow(s), newRemove(s), newImport(s, deploy), newRekey(s), newRotate(s), newKeygen(s), newSigner(s))
	return cmd
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"secret set":    {changed{}, workflows.Result{}, follow.Detached{}},
		"secret list":   {[]listed{}},
		"secret show":   {shown{}},
		"secret rm":     {removed{}},
		"secret import": {[]changed{}, workflows.Result{}, follow.Detached{}},
		"secret rekey":  {[]changed{}},
		"secret rotate": {workflows.Rotation{}},
		"secret keygen": {generated{}},
		"secret signer": {signer{}},
	}
}
