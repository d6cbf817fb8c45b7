package identity

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// askTime bounds a request to the gateways.
const askTime = time.Minute

// ask sends a request to a gateway or, with direct, carries it out in the
// registry.
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
	// Renew the certificate if the authority is being replaced; the due date
	// renews it, too.
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
