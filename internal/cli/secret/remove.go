package secret

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// removed is mcp secret rm --json.
type removed struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	// Versions is how many were removed.
	Versions int `json:"versions"`
}

func newRemove(s *session.Session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm SERVICE/NAME",
		Short: "Remove a secret with all its versions",
		Long: `Rm removes every version of a secret that mcp manages. It is refused while the
release of the service uses the secret. A release that used it cannot be rolled
back to any more. Where the value was known to others, revoke it where it is
checked, too: a node, and a backup of Postgres with a key, may have it still.

The numbers of its versions are not used again. Afterwards a secret of that name
in the definition is one that was made with podman on the node.`,
		Example: "  mcp secret rm shop/db",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runRemove(cmd.Context(), s, args[0], yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func runRemove(ctx context.Context, s *session.Session, target string, yes bool) error {
	service, name, err := parse(target)
	if err != nil {
		return err
	}
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	found, err := recorded(ctx, s, c, "secret rm", reads.SecretsInput{Service: service})
	if err != nil {
		return err
	}
	secret, err := existing(found.Secrets, service, name)
	if err != nil {
		return err
	}
	losses := []string{
		fmt.Sprintf("%s of %s", ui.Counted(len(secret.Versions), "version"), target),
		"the rollback to releases that used it",
	}
	if err := s.Confirm(ctx, "secret rm "+target, losses, yes); err != nil {
		return err
	}
	var result oncontrol.RemoveSecretResult
	in := oncontrol.RemoveSecretInput{Service: service, Name: name}
	in.Who, in.From = s.Identity()
	if err := s.Read(ctx, c, "secret rm", workflows.RemoveSecretName, in, &result, session.ChangingSecret(service, name, "rm")); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(removed{service, name, result.Versions})
	} else {
		_, _ = fmt.Fprintf(s.Stdout, "%s: removed, %s\n", target, ui.Counted(result.Versions, "version"))
	}
	return nil
}
