package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity/enrol"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workers"
)

// workerGrace is how long a stopping worker lets its activities run. With the time to
// hand the others over it is less than the 90 seconds after which systemd kills.
const workerGrace = time.Minute

type workerOptions struct {
	control                    bool
	node, builder              string
	workspace, socket, publish string
	policy                     string
	listen                     *string // nil unless given: "" means something
	logFormat                  string
}

func newWorker(s *session.Session) *cobra.Command {
	var o workerOptions
	var listen string
	cmd := &cobra.Command{
		Use:   "worker [--control] [--node NAME] [--builder NAME --workspace DIR]",
		Short: "Serve deploys: as a control worker, a node's, a builder, or several of these",
		Long: `Worker serves deploys until SIGTERM or Ctrl-C. It then lets running activities
end, for up to a minute, and leaves those that take longer to the next worker; a
second signal ends it at once. While Temporal or Postgres cannot be reached it
waits for them.

  --control   runs workflows; reaches Postgres and the image registries
  --node      runs containers on this host's podman
  --builder   builds and pushes images from a workspace

Without any of these it serves the node that the configuration names.

A node's name belongs to the machine that had it first: until mcp node remove, the
worker of another one ends with an error that names the owner.

At the address --listen it serves /metrics, /healthz and /readyz. Where another
worker of this machine has that address, this one works without them until it is
free: give each worker a separate address.`,
		Example: "  mcp worker --control\n  mcp worker --node rift --publish 10.0.0.5\n  mcp worker --builder ci --workspace /src",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("listen") {
				o.listen = &listen
			}
			return runWorker(cmd.Context(), s, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.control, "control", false, "be a control worker")
	flags.StringVar(&o.node, "node", "", "be the worker of the node with this name")
	flags.StringVar(&o.builder, "builder", "", "be the builder with this name")
	flags.StringVar(&o.workspace, "workspace", "", "the directory that the builder builds from")
	flags.StringVar(&o.socket, "socket", "", "podman's socket, for the node and the builder")
	flags.StringVar(&o.publish, "publish", "", "the address of this host that routes are published on")
	flags.StringVar(&o.policy, "policy", "", "the file with the rules of what may run and be built here (default: "+policy.DefaultFile+")")
	flags.StringVar(&listen, "listen", "", "where metrics and health are served, host:port, or off (default: that of the configuration, or "+config.DefaultListen+")")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	return cmd
}

// runWorker runs until ctx ends, or a worker fails.
func runWorker(ctx context.Context, s *session.Session, o workerOptions) error {
	s.Lasts()
	log, err := ui.ServiceLog(s.Stderr, o.logFormat, s.Debug)
	if err != nil {
		return exit.Usage(err)
	}
	cfg, err := s.Config(o.over)
	if err != nil {
		return err
	}
	connection, err := cfg.TemporalOptions()
	if err != nil {
		return exit.Usage(err)
	}
	roles, err := o.roles(cfg, connection.Namespace)
	if err != nil {
		return exit.Usage(err)
	}
	if roles.Codec, err = cfg.Encryption(); err != nil {
		return exit.Usage(err)
	}
	measured := telemetry.New(s.Version)
	roles.Version, roles.Behind = s.Version, config.ThroughDoor(connection)
	roles.Logger, roles.Interceptors, roles.Grace, roles.Telemetry = log, s.Interceptors, workerGrace, measured
	connection.Logger = sdklog.NewStructuredLogger(log)
	c, err := measured.Connect(connection)
	if err != nil {
		return exit.Usage(err)
	}
	// The deferred calls run in the order in which the process must end: first the
	// workers, which turn /readyz to 503 before, then the listener, then the client.
	defer c.Close()
	listener := telemetry.Listen(cfg.Worker.Listen, measured.Handler(), log)
	defer listener.Close()
	if roles.Control != nil {
		stop, err := serveCodec(cfg, log)
		if err != nil {
			return err
		}
		defer stop()
	}
	if config.ThroughDoor(connection) {
		if err := cfg.Door.Check(); err != nil {
			return exit.Usage(err)
		}
		keeping, stop := context.WithCancel(ctx)
		defer stop()
		go enrol.Keep(keeping, cfg.Door.Addresses, cfg.Door.Directory(), log)
	}
	_, err = patiently(ctx, log.With("for", "Temporal", "address", connection.HostPort), func(error) bool { return true },
		func(ctx context.Context) (*client.CheckHealthResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, session.ConnectTimeout)
			defer cancel()
			return c.CheckHealth(ctx, &client.CheckHealthRequest{})
		})
	if err != nil {
		return endOf(ctx, err)
	}
	w, err := patiently(ctx, log.With("for", "what the roles need"), isAway,
		func(ctx context.Context) (*workers.Workers, error) { return workers.Start(ctx, c, roles) })
	if err != nil {
		return endOf(ctx, err)
	}
	log.Info("worker ready", "control", o.control, "node", o.node, "builder", o.builder, "temporal", connection.HostPort)
	defer w.Stop()
	select {
	case err := <-w.Failed():
		return err
	case <-ctx.Done():
		log.Info("worker ends; what runs comes to an end first")
		return nil
	}
}

// streamDoors returns functions that connect to the gateways for streams; nil if Temporal
// is reached without gateways.
func streamDoors(cfg *config.Config) (doors []func(context.Context) (net.Conn, error)) {
	options, err := cfg.TemporalOptions()
	if err != nil || !config.ThroughDoor(options) {
		return nil
	}
	for _, address := range cfg.Door.Addresses {
		doors = append(doors, func(ctx context.Context) (net.Conn, error) { return session.DialStreams(ctx, cfg.Door, address) })
	}
	return doors
}

// over overrides the configuration with the flags.
func (o *workerOptions) over(c *config.Config) {
	if o.node == "" && !o.control && o.builder == "" {
		o.node = c.Node.Name
	}
	c.Node.Name = o.node
	c.Build.Builder = o.builder
	c.Build.Workspace = cmp.Or(o.workspace, c.Build.Workspace)
	c.Node.Socket = cmp.Or(o.socket, c.Node.Socket)
	c.Build.Socket = cmp.Or(o.socket, c.Build.Socket)
	c.Node.Publish = cmp.Or(o.publish, c.Node.Publish)
	c.Node.Policy = cmp.Or(o.policy, c.Node.Policy)
	if o.listen != nil {
		c.Worker.Listen = *o.listen
	}
}

// roles returns the roles of the flags.
func (o *workerOptions) roles(cfg *config.Config, namespace string) (workers.Options, error) {
	var roles workers.Options
	insecure := cfg.ImageRegistry.Insecure
	if o.control {
		url, err := session.RegistryURL(cfg)
		if err != nil {
			return roles, err
		}
		encryption, err := cfg.Codec()
		if err != nil {
			return roles, err
		}
		keys := encryption.Keys()
		secret, err := cfg.AlertSecret()
		if err != nil {
			return roles, err
		}
		roles.Control = &workers.Control{
			PostgresURL: url, PostgresInsecure: cfg.Postgres.Insecure,
			Keys:      keys,
			PortRest:  time.Duration(cfg.Ports.Rest),
			Namespace: namespace,

			MonitorInterval: time.Duration(cfg.Monitor.Interval),
			Alerts:          workers.Alerts{Webhook: cfg.Alerts.Webhook, Secret: secret, Insecure: cfg.Alerts.Insecure, Command: cfg.Alerts.Command},
		}
		roles.Control.Images.Insecure = insecure
		roles.Control.Images.AuthFile = cfg.ImageRegistry.AuthFile
	}
	if o.node != "" {
		roles.Node = &workers.Node{
			Name: o.node, Socket: cfg.Node.Socket, Publish: cfg.Node.Publish,
			PortLow: cfg.Ports.Low, PortHigh: cfg.Ports.High, Insecure: insecure, AuthFile: cfg.ImageRegistry.AuthFile,
			Signed:      cfg.ImageRegistry.RequireSignature,
			MachineFile: cfg.Node.Machine, TaskLogs: cfg.Node.Logs, Data: cfg.Node.Data,
			Policy:  cfg.Node.Policy,
			KeyFile: cfg.NodeKey(o.node), Signers: cfg.Node.Signers,
			Doors: streamDoors(cfg),
		}
	}
	if o.builder != "" {
		if cfg.Build.Workspace == "" {
			return roles, fmt.Errorf("a builder needs --workspace, or [build] workspace in mcp.toml; this configuration is %s", cfg.Describe())
		}
		source := "[build] workspace"
		if o.workspace != "" {
			source = "--workspace"
		}
		if err := wantDir(source, cfg.Build.Workspace); err != nil {
			return roles, err
		}
		passphrase, err := cfg.SigningPassphrase()
		if err != nil {
			return roles, err
		}
		roles.Builder = &workers.Builder{
			Signing:    workers.Signing{KeyFile: cfg.Build.SigningKeyFile, Passphrase: passphrase},
			KeyFile:    cfg.BuilderKey(o.builder),
			Signers:    func() ([]string, error) { return cfg.Node.Signers, nil },
			ServesLogs: true,
			Name:       o.builder, Workspace: cfg.Build.Workspace, Socket: cfg.Build.Socket,
			Logs: cfg.Build.Logs, Insecure: insecure, AuthFile: cfg.ImageRegistry.AuthFile, Policy: cfg.Node.Policy,
		}
	}
	if roles.Control == nil && roles.Node == nil && roles.Builder == nil {
		return roles, errors.New("no role: give --control, --node NAME or --builder NAME, or set [node] name in mcp.toml")
	}
	return roles, nil
}

// patiently tries until it succeeds, or fails for a reason that waiting does not remove.
// So a worker and what it needs may be started in any order.
func patiently[T any](ctx context.Context, log *slog.Logger, wait func(error) bool, try func(context.Context) (T, error)) (T, error) {
	const longest = 10 * time.Second
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, longest) {
		got, err := try(ctx)
		if err == nil || ctx.Err() != nil || !wait(err) {
			return got, err
		}
		log.Warn("waiting", "error", err, "next", pause)
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// isAway reports whether an error means that the other side cannot be reached now.
func isAway(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	return fault.Is(err, fault.Unavailable) || errors.As(err, &unavailable) || errors.As(err, &late)
}

// endOf returns err, or nil once ctx has ended: a worker that is stopped has succeeded.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
