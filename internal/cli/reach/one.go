package reach

import (
	"context"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/workflows/reads"
)

// find finds the one container that a verb reaches into.
func find(ctx context.Context, s *session.Session, c client.Client, verb, target string) (service string, at reads.ComponentLogs, err error) {
	service, component, _ := strings.Cut(target, "/")
	found, err := s.Where(ctx, c, verb, reads.LogsInput{Service: service, Component: component})
	switch {
	case err != nil:
		return service, at, err
	case found.Run != nil || len(found.Logs) == 0:
		return service, at, exit.Usage(fault.New(fault.Invalid, "%s has no container that runs all the time", target))
	case len(found.Logs) > 1:
		return service, at, exit.Usage(fault.New(fault.Invalid, "service %s has several components", service).
			WithHint("name one: %s/%s", service, found.Logs[0].Component))
	}
	return service, found.Logs[0], nil
}

// opened is what a verb that goes through a gateway needs.
type opened struct {
	streams *stream.Client
	service string
	at      reads.ComponentLogs
	close   func()
}

// open connects to the gateway and finds the container; instead is the command for its
// node, if there is no gateway.
func open(ctx context.Context, s *session.Session, verb, target, instead string) (o opened, err error) {
	cfg, err := s.Config()
	if err != nil {
		return o, err
	}
	options, err := cfg.TemporalOptions()
	if err != nil {
		return o, exit.Usage(err)
	}
	if !config.ThroughDoor(options) {
		service, component, _ := strings.Cut(target, "/")
		return o, exit.Usage(session.NoGateway(verb, service, component, instead))
	}
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return o, err
	}
	defer c.Close()
	return openWith(ctx, s, cfg, c, verb, target)
}

// openWith is open with a connection to Temporal.
func openWith(ctx context.Context, s *session.Session, cfg *config.Config, c client.Client, verb, target string) (o opened, err error) {
	streams, end := s.StreamsMeanwhile(ctx, cfg)
	if o.service, o.at, err = find(ctx, s, c, verb, target); err == nil {
		o.streams, err = streams()
	}
	if err != nil {
		end()
		return o, err
	}
	o.close = end
	return o, nil
}
