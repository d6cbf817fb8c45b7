package identity

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// revoked is mcp identity revoke --json.
type revoked struct {
	Identity string `json:"identity"`
	Revoked  bool   `json:"revoked"`
}

func newRevoke(s *session.Session) *cobra.Command {
	var direct, yes bool
	cmd := &cobra.Command{
		Use:   "revoke ROLE NAME",
		Short: "Revoke an identity, so that no gateway lets it in",
		Long: `Revoke refuses the certificates of an identity, and its token if that is not
used yet. Within a minute every gateway closes its connections: calls, polls and
streams end. The containers of a node keep running.

It asks for confirmation; without a terminal it requires -y.`,
		Example: "  mcp identity revoke node rift\n  mcp identity revoke deployer ci -y",
		Args:    session.Args(cobra.RangeArgs(1, 2)), // also ROLE/NAME, as everything else writes it
		RunE: func(cmd *cobra.Command, given []string) error {
			return runRevoke(cmd.Context(), s, strings.Join(given, "/"), direct, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&direct, "direct", false, "write to the registry itself: on the host of a gateway")
	return cmd
}

func runRevoke(ctx context.Context, s *session.Session, text string, direct, yes bool) error {
	who, err := identity.Parse(text)
	if err != nil {
		return exit.Usage(err)
	}
	loss := "the access of " + who.String() + " to the control plane"
	if cfg, err := s.Config(); err == nil && cfg.Door.Enabled() {
		if own, err := cfg.Door.Directory().Read(); err == nil && own.Identity.String() == who.String() {
			loss += ", with which this command asks: another operator or --direct makes the next one"
		}
	}
	if err := s.Confirm(ctx, "identity revoke "+who.String(), []string{loss}, yes); err != nil {
		return err
	}
	if _, err := ask(ctx, s, direct, enrol.Request{Revoke: who.String()}); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(revoked{Identity: who.String(), Revoked: true})
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: revoked\n", who)
	return nil
}
