package local

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
)

func newDev(s *session.Session) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the local platform: everything that mcp needs, in one directory",
		Long: `Dev starts and supervises everything that mcp needs, in one directory: Temporal
with its UI, the gateway in front of it, Postgres, an image registry, podman where
none answers, the workers of a node and a builder called local, and, where
mcp-edge is beside mcp or in $PATH, an edge that serves routes with a hostname,
such as shop.localhost. Ctrl-C ends all of it except the containers of services;
the next start uses the same data and flags. In this folder and below, mcp finds
the configuration that dev writes, with the identity of an operator. The
certificates of that one, of the workers and of the edge are renewed by dev.

The platform is for one person: its parts are not defended against other users of
this machine.`,
		Example: "  mcp dev\n  mcp dev --detach --workspace ~/src --services ~/services\n  mcp dev down --destroy",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDev(cmd.Context(), s, o) },
	}
	cmd.PersistentFlags().StringVar(&o.dir, "dir", config.DevDir, "the directory of the platform")
	flags := cmd.Flags()
	flags.StringVar(&o.workspace, "workspace", "", "the directory that images are built from (default: the last one, or this folder)")
	flags.StringVar(&o.services, "services", "", "the directory of service definitions (default: the last one, or services)")
	flags.IntVar(&o.registryPort, "registry-port", 0, "the image registry's port (default: the last one, or a free one)")
	flags.IntVar(&o.gatewayPort, "gateway-port", 0, "the port of the gateway in front of Temporal (likewise)")
	flags.IntVar(&o.uiPort, "ui-port", 0, "the port of Temporal's UI (likewise)")
	flags.IntVar(&o.httpPort, "http-port", 0, "where the edge listens for port 80 (likewise)")
	flags.IntVar(&o.httpsPort, "https-port", 0, "where the edge listens for port 443 (likewise)")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "the podman to use (default: the last one; this machine's if it answers; one of its own)")
	flags.StringVar(&o.publish, "publish", "", "the address that routes are published on (default: the last one, or 127.0.0.1)")
	flags.BoolVarP(&o.detach, "detach", "d", false, "run in the background; return when it is ready")
	cmd.AddCommand(newDevDown(s, &o), newDevTrust(s, &o))
	return cmd
}

// runDev runs the platform until ctx ends.
func runDev(ctx context.Context, s *session.Session, o devOptions) error {
	settings, err := o.settings(s)
	if err != nil {
		return err
	}
	if o.detach {
		return runDetached(ctx, s, o, settings)
	}
	s.Lasts()
	began := time.Now()
	starting, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	platform, err := dev.Up(starting, settings)
	if err != nil {
		return endOf(ctx, err)
	}
	defer platform.Down()
	showPlatform(s, platform.Info())
	if !s.JSON {
		_, _ = fmt.Fprintf(s.Stdout, "ready after %s; Ctrl-C ends it\n", time.Since(began).Round(100*time.Millisecond))
	}
	<-ctx.Done()
	settings.Logger.Info("the platform ends; containers run on")
	return nil
}
