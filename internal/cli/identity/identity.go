package identity

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
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

// askTime bounds a request to the gateways.
const askTime = time.Minute

// ask sends a request to a gateway or, with direct, does it in the registry.
func ask(ctx context.Context, s *session.Session, direct bool, request enrol.Request) (enrol.Answer, error) {
	if !request.List {
		s.Forget()
	}
	cfg, err := s.Config()
	if err != nil {
		return enrol.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if direct {
		return askRegistry(ctx, s, cfg, request)
	}
	if !cfg.Door.Enabled() {
		return enrol.Answer{}, exit.Usage(fault.New(fault.Invalid, "this configuration names no gateway: it is %s", cfg.Describe()).
			WithHint("set [door] addresses; on the host of a gateway, --direct writes to the registry itself"))
	}
	// Where the authority is being replaced; the due date does it, too.
	_, _ = enrol.Update(ctx, cfg.Door.Addresses, cfg.Door.Directory())
	answer, err := enrol.Ask(ctx, cfg.Door.Addresses, cfg.Door.Directory(), request)
	if fault.Is(err, fault.Unavailable) {
		return answer, exit.Unreachable(fault.Of(err))
	}
	return answer, err
}

func askRegistry(ctx context.Context, s *session.Session, cfg *config.Config, request enrol.Request) (enrol.Answer, error) {
	url, err := cfg.PostgresURL()
	if err != nil {
		return enrol.Answer{}, exit.Usage(err)
	}
	who, from := s.Identity()
	answer, err := gateway.Direct(ctx, url, cfg.Postgres.Insecure, cfg.Gateway.Doors(), cfg.Gateway.KeyFile, fleet.Actor{Who: who, From: from, Claimed: true}, request)
	if fault.Is(err, fault.Unavailable) {
		return answer, exit.Unreachable(fault.Of(err))
	}
	return answer, err
}

// words joins a list for a person; "-" for an empty one.
func words[T ~string](list []T) string {
	if len(list) == 0 {
		return "-"
	}
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return strings.Join(texts, " ")
}
