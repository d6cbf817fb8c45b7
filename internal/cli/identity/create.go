package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// created is mcp identity create --json.
type created struct {
	Identity string `json:"identity"`
	// Token is a secret until it is used.
	Token string `json:"token"`
	// Expires is when the token does.
	Expires time.Time `json:"expires"`
}

type createOptions struct {
	services, grants []string
	life, tokenLife  time.Duration
	direct           bool
}

func newCreate(s *session.Session) *cobra.Command {
	var o createOptions
	cmd := &cobra.Command{
		Use:   "create ROLE NAME",
		Short: "Create an identity, and print the token that joins with it",
		Long: `Create makes an identity and prints a token, with which one machine or person
joins, once: mcp join TOKEN. The token is a secret until then. Roles are:

  operator   everything that mcp can do
  deployer   changes and reads its services: a program of CI
  reader     reads its services
  node       runs containers: the worker of a host
  edge       serves routes
  builder    builds images
  control    runs workflows: a control worker

A deployer and a reader name their services with --service; '*' stands for all.
What they may do besides is granted: exec, cp, port-forward or secrets.

Where the identity exists already, its certificate works until the new token is
used, and is revoked then. The first operator is created on the host of a
gateway, in the registry itself: with --direct.`,
		Example: "  mcp identity create node rift\n  mcp identity create deployer ci --service shop --service bank\n  mcp identity create operator anna --direct | mcp join -",
		Args:    session.Args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return runCreate(cmd.Context(), s, given[0], given[1], o)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.services, "service", nil, "a service that a deployer or a reader may use; may be repeated")
	flags.StringArrayVar(&o.grants, "grant", nil, "what a deployer or a reader may do besides; may be repeated")
	flags.DurationVar(&o.life, "life", 0, "how long its certificates live (default: what the gateways have)")
	flags.DurationVar(&o.tokenLife, "token-life", identity.DefaultTokenLife, "how long the token may be used")
	flags.BoolVar(&o.direct, "direct", false, "write to the registry itself: on the host of a gateway")
	return cmd
}

func runCreate(ctx context.Context, s *session.Session, role, name string, o createOptions) error {
	who := identity.Identity{Role: identity.Role(role), Name: name, Services: o.services, ID: "0"}
	for _, g := range o.grants {
		who.Grants = append(who.Grants, identity.Grant(g))
	}
	if err := who.Check(); err != nil {
		return exit.Usage(err)
	}
	token, request := enrol.NewToken(identity.Creation{Identity: who, Life: o.life, TokenLife: o.tokenLife})
	answer, err := ask(ctx, s, o.direct, request)
	if err != nil {
		return err
	}
	if token, err = enrol.Complete(token, answer); err != nil {
		return err
	}
	expires := time.Now().Add(o.tokenLife)
	if s.JSON {
		s.PrintJSON(created{Identity: who.String(), Token: token.String(), Expires: expires.Truncate(time.Second)})
		return nil
	}
	_, _ = fmt.Fprintln(s.Stdout, token)
	s.Say("%s is created; join with this token, once, until %s: mcp join TOKEN", who, expires.Format("2006-01-02 15:04"))
	return nil
}
