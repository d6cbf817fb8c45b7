package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/edge/role"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/seal"
)

// version is set by the linker.
var version = "dev"

// App has the streams and the environment of a command; a test injects its own.
type App struct {
	Stdout, Stderr io.Writer
	// Getenv reads the environment.
	Getenv func(string) string
	// Interceptors wrap every activity, the first of them outermost.
	Interceptors []interceptor.WorkerInterceptor
}

// Main runs mcp-edge with the process's own arguments and returns the exit code.
func Main() int {
	app := App{Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return app.Run(ctx, os.Args[1:])
}

// Run runs one command and returns its exit code: see package exit.
func (a App) Run(ctx context.Context, args []string) int {
	console := ui.Console{Stdout: a.Stdout, Stderr: a.Stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	err := root.ExecuteContext(ctx)
	if err == nil {
		return int(exit.Done)
	}
	if !understood {
		err = exit.Usage(err)
	}
	code, f := exit.Classify(err)
	console.Fault(f)
	return int(code)
}

// options are the flags.
type options struct {
	config, name, data, listen string
	metrics                    *string
	logFormat                  string
	debug                      bool
	drain                      time.Duration
}

func (a App) root() *cobra.Command {
	var o options
	var metrics string
	cmd := &cobra.Command{
		Use:   "mcp-edge [--name NAME]",
		Short: "Serve the routes of services to the world",
		Long: `Mcp-edge serves the routes of services to the world, until SIGTERM or Ctrl-C. Open
requests and connections then have --drain to end; a second signal ends it at once.

It serves what it has on disk as soon as it starts, also while Temporal cannot be
reached. It gets nothing until an operator has admitted its key: mcp edge admit NAME.
The name belongs to that key: an edge with another one ends with an error until mcp
edge remove NAME.

Started again with the data directory of one that runs, it takes its place: it takes
the sockets, and no connection is refused. On SIGHUP it starts its program, as it is
installed by then, in that way. That is how to upgrade.

At the address --metrics it serves /metrics, /healthz and /readyz.`,
		Example:       "  mcp-edge --name front\n  mcp-edge key",
		Args:          usage(cobra.NoArgs),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("metrics") {
				o.metrics = &metrics
			}
			return a.serve(cmd.Context(), o)
		},
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	shared := cmd.PersistentFlags()
	shared.StringVarP(&o.config, "config", "f", "", "configuration file (default: the nearest .mcp-dev/mcp.toml, then the user's, then /etc/mcp/mcp.toml)")
	shared.StringVar(&o.data, "data", "", "the directory of its key, publications, certificates and access logs")
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "the name of the edge")
	flags.StringVar(&o.listen, "listen", "", "the address of this host on which it serves (default: all of them)")
	flags.StringVar(&metrics, "metrics", "", "where metrics and health are served, host:port, or off (default: that of the configuration, or "+config.DefaultEdgeMetrics+")")
	flags.DurationVar(&o.drain, "drain", 30*time.Second, "how long open requests and connections may take when it ends")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	flags.BoolVar(&o.debug, "debug", false, "log what only a developer needs")
	cmd.AddCommand(a.newKey(&o), a.newVersion())
	return cmd
}

// load reads the configuration; the flags override it.
func (a App) load(o options) (*config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	path, err := config.Find(o.config, a.Getenv, dir)
	if err != nil {
		return nil, exit.Usage(err)
	}
	cfg, err := config.Load(path, a.Getenv, func(c *config.Config) {
		c.Edge.Name = cmp.Or(o.name, c.Edge.Name)
		c.Edge.Data = cmp.Or(o.data, c.Edge.Data)
		c.Edge.Listen = cmp.Or(o.listen, c.Edge.Listen)
		if o.metrics != nil {
			c.Edge.Metrics = *o.metrics
		}
	})
	if err != nil {
		return nil, exit.Usage(err)
	}
	return cfg, nil
}

func (a App) newKey(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Show this edge's public key and its fingerprint",
		Long: `Key shows the public key of this edge, and the fingerprint that mcp edge list shows
of the key which announces itself under the edge's name: admit it if they are equal.
It makes the key if there is none yet.`,
		Args: usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load(*o)
			if err != nil {
				return err
			}
			if err := role.OpenData(cfg.Edge.Data); err != nil {
				return err
			}
			identity, err := seal.Load(role.KeyFile(cfg.Edge.Data))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "key          %s\nfingerprint  %s\n", identity.Key(), identity.Key().Fingerprint())
			return err
		},
	}
}

func (a App) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.Stdout, "mcp-edge %s, built with %s for %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// usage makes the error of a check of positional arguments one of usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return exit.Usage(fmt.Errorf("%w\nusage: %s", err, cmd.UseLine()))
		}
		return nil
	}
}

var errNoName = errors.New("no name: give --name NAME, or set [edge] name in mcp.toml")
