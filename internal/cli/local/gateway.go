package local

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/telemetry"
)

// gatewayGrace is how long open calls may take when the gateway ends. Polls, which last
// longer, are made again, at another gateway or at this one when it is back.
const gatewayGrace = 5 * time.Second

type gatewayOptions struct {
	listen, metrics, logFormat string
}

func newGateway(s *session.Session) *cobra.Command {
	var o gatewayOptions
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve as the gateway in front of Temporal, with identities",
		Long: `Gateway is the only way to Temporal for nodes, edges, builders and operators.
They connect to one port with certificates of its authority. It lets each of
them call what its role needs, and nothing else, and carries the streams of
logs, exec, cp and port-forward. It runs until SIGTERM or Ctrl-C; open calls
then have five seconds.

The Temporal behind it is that of [temporal], whose credentials no other machine
needs, and the registry that of [postgres]. The first gateway makes the
authority, which rests in Postgres, sealed to the key in [gateway] key_file.
Several gateways may run, with the same Postgres and a copy of that file.

A gateway encrypts what its clients give to Temporal, and decrypts what they get
from there, with the keys of [temporal] encryption_key_file: of the fleet's
machines only gateways and control workers need that file. With [temporal]
codec_listen it decrypts for Temporal's UI, too.

The first operator is created on the host of a gateway:
mcp identity create operator NAME --direct`,
		Example: "  mcp gateway\n  mcp gateway --listen 10.0.0.1:7433",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runGateway(cmd.Context(), s, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "", "the address of this host on which it serves (default: "+config.DefaultDoor+")")
	flags.StringVar(&o.metrics, "metrics", "", "where metrics and health are served, host:port, or off (default: "+config.DefaultGatewayMetrics+")")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	return cmd
}

// runGateway serves until ctx ends.
func runGateway(ctx context.Context, s *session.Session, o gatewayOptions) error {
	s.Lasts()
	log, err := ui.ServiceLog(s.Stderr, o.logFormat, s.Debug)
	if err != nil {
		return exit.Usage(err)
	}
	cfg, err := s.Config(func(c *config.Config) {
		c.Gateway.Listen = cmp.Or(o.listen, c.Gateway.Listen)
		c.Gateway.Metrics = cmp.Or(o.metrics, c.Gateway.Metrics)
	})
	if err != nil {
		return err
	}
	url, err := session.RegistryURL(cfg)
	if err != nil {
		return exit.Usage(err)
	}
	upstream, namespace, err := cfg.Upstream()
	if err != nil {
		return exit.Usage(err)
	}
	defer func() { _ = upstream.Close() }()
	encryption, err := cfg.Codec()
	if err != nil {
		return exit.Usage(err)
	}
	measured := telemetry.New(s.Version)
	listener := telemetry.Listen(cfg.Gateway.Metrics, measured.Handler(), log)
	defer listener.Close()
	stop, err := serveCodec(cfg, log)
	if err != nil {
		return err
	}
	defer stop()
	return gateway.Serve(ctx, gateway.Options{
		Listen: cfg.Gateway.Listen, Doors: cfg.Gateway.Doors(), PostgresURL: url, PostgresInsecure: cfg.Postgres.Insecure,
		KeyFile: cfg.Gateway.KeyFile, Data: cfg.Gateway.Data, Life: time.Duration(cfg.Gateway.Life),
		Upstream: upstream, Namespace: namespace, Codec: encryption, Version: s.Version, Logger: log, Telemetry: measured, Grace: gatewayGrace,
	})
}
