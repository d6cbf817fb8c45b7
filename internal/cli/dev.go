package cli

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
)

// upPatience is what the platform may take to come up.
const upPatience = 3 * time.Minute

type devOptions struct {
	dir, workspace, services           string
	registryPort, temporalPort, uiPort int
	podmanSocket, publish              string
	detach                             bool
}

func newDev(a *App) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the local platform: all that mcp needs, in one directory",
		Long: `Dev starts and watches over all that mcp needs, in one directory: Temporal with
its UI, Postgres, an image registry, podman where none answers, and the workers
of a node and a builder called local. Ctrl-C ends all of it but the containers
of services; the next start finds everything again, and what it was told by
flags. The mcp commands find its configuration by themselves, in this folder and
below.`,
		Example: "  mcp dev\n  mcp dev --detach --workspace ~/src --services ~/services\n  mcp dev down --destroy",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.dev(cmd.Context(), o) },
	}
	cmd.PersistentFlags().StringVar(&o.dir, "dir", config.DevDir, "the directory that holds all of it")
	flags := cmd.Flags()
	flags.StringVar(&o.workspace, "workspace", "", "the directory that images are built from (default: the last one, or this folder)")
	flags.StringVar(&o.services, "services", "", "the directory of service definitions (default: the last one, or services)")
	flags.IntVar(&o.registryPort, "registry-port", 0, "the image registry's port (default: the last one, or a free one)")
	flags.IntVar(&o.temporalPort, "temporal-port", 0, "Temporal's port (likewise)")
	flags.IntVar(&o.uiPort, "ui-port", 0, "the port of Temporal's UI (likewise)")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "the podman to use (default: the last one; this machine's if it answers; one of its own)")
	flags.StringVar(&o.publish, "publish", "", "the address that routes are published on (default: the last one, or 127.0.0.1)")
	flags.BoolVarP(&o.detach, "detach", "d", false, "run in the background; return when it is ready")
	cmd.AddCommand(newDevDown(a, &o))
	return cmd
}

// dev runs the platform until ctx ends.
func (a *App) dev(ctx context.Context, o devOptions) error {
	settings, err := o.settings(a)
	if err != nil {
		return err
	}
	if o.detach {
		return a.detach(ctx, o, settings)
	}
	a.lasts()
	began := time.Now()
	starting, cancel := context.WithTimeout(ctx, upPatience)
	defer cancel()
	platform, err := dev.Up(starting, settings)
	if err != nil {
		return endOf(ctx, err)
	}
	defer platform.Down()
	a.showPlatform(platform.Info())
	if !a.json {
		_, _ = fmt.Fprintf(a.Stdout, "ready after %s; Ctrl-C ends it\n", time.Since(began).Round(100*time.Millisecond))
	}
	<-ctx.Done()
	settings.Logger.Info("the platform ends; containers run on")
	return nil
}

// settings are the platform's, from the flags and the machine.
func (o devOptions) settings(a *App) (dev.Options, error) {
	if err := o.check(); err != nil {
		return dev.Options{}, usageError{err}
	}
	// The configuration knows where this machine's podman would be; no file
	// has a say in what it is about to write itself.
	machine, err := config.Load("", a.Getenv, func(c *config.Config) {
		c.Node.Publish = cmp.Or(o.publish, c.Node.Publish)
		if o.podmanSocket != "" {
			c.Build.Socket = o.podmanSocket
		}
	})
	if err != nil {
		return dev.Options{}, usageError{err}
	}
	settings := dev.Options{
		Dir: o.dir, Workspace: o.workspace, Services: o.services,
		RegistryPort: o.registryPort, TemporalPort: o.temporalPort, UIPort: o.uiPort,
		MachineSocket: machine.Node.Socket, Publish: o.publish,
		Version: version,
		Logger:  slog.New(slog.NewTextHandler(a.Stderr, nil)),
		// The SDK tells of every worker that starts; only its troubles matter.
		SDKLogger: slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if o.podmanSocket != "" {
		settings.Socket = machine.Build.Socket
	}
	for _, path := range []*string{&settings.Workspace, &settings.Services} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return settings, fmt.Errorf("find the working directory: %w", err)
		}
	}
	if a.debug {
		settings.SDKLogger = slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return settings, nil
}

// check wants what the flags name to be there.
func (o devOptions) check() error {
	for _, flag := range []struct{ name, dir string }{{"--workspace", o.workspace}, {"--services", o.services}} {
		if flag.dir == "" {
			continue
		}
		if err := wantDir(flag.name, flag.dir); err != nil {
			return err
		}
	}
	if o.podmanSocket == "" {
		return nil
	}
	path := strings.TrimPrefix(o.podmanSocket, "unix://")
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("--podman-socket: there is no socket %s", path)
	}
	return nil
}

// wantDir checks that the directory which a flag names is one.
func wantDir(flag, dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: there is no directory %s", flag, dir)
	}
	return nil
}

// showPlatform says what is where.
func (a *App) showPlatform(info dev.Info) {
	if a.json {
		a.printJSON(info)
		return
	}
	podman := info.Podman
	if info.PrivatePodman {
		podman += " (its own)"
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	for _, line := range [][2]string{
		{"Temporal UI", info.UI}, {"Temporal", info.Temporal}, {"image registry", info.ImageRegistry},
		{"Postgres", info.Postgres}, {"podman", podman}, {"configuration", info.Config},
		{"workspace", info.Workspace}, {"services", info.Services}, {"metrics", info.Metrics},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	_ = table.Flush()
}
