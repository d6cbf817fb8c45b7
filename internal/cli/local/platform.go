package local

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
)

// upTimeout bounds the start of the platform.
const upTimeout = 3 * time.Minute

type devOptions struct {
	dir, workspace, services          string
	registryPort, gatewayPort, uiPort int
	httpPort, httpsPort               int
	podmanSocket, publish             string
	detach                            bool
}

// settings returns the platform's settings, from the flags and the machine.
func (o devOptions) settings(s *session.Session) (dev.Options, error) {
	if err := o.check(); err != nil {
		return dev.Options{}, exit.Usage(err)
	}
	// The defaults of the configuration have this machine's podman. No file is read:
	// the platform is about to write it.
	machine, err := config.Load("", s.Getenv, func(c *config.Config) {
		c.Node.Publish = cmp.Or(o.publish, c.Node.Publish)
		if o.podmanSocket != "" {
			c.Build.Socket = o.podmanSocket
		}
	})
	if err != nil {
		return dev.Options{}, exit.Usage(err)
	}
	settings := dev.Options{
		Dir: o.dir, Workspace: o.workspace, Services: o.services,
		RegistryPort: o.registryPort, GatewayPort: o.gatewayPort, UIPort: o.uiPort,
		HTTPPort: o.httpPort, HTTPSPort: o.httpsPort,
		MachineSocket: machine.Node.Socket, Publish: o.publish,
		Version: s.Version,
		Logger:  slog.New(slog.NewTextHandler(s.Stderr, nil)),
		// The SDK logs every worker that starts; only its warnings matter.
		SDKLogger: slog.New(slog.NewTextHandler(s.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
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
	if s.Debug {
		settings.SDKLogger = slog.New(slog.NewTextHandler(s.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return settings, nil
}

// check returns an error if the directories and the socket of the flags do not
// exist.
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

// showPlatform shows the addresses and paths of the platform.
func showPlatform(s *session.Session, info dev.Info) {
	if s.JSON {
		s.PrintJSON(info)
		return
	}
	podman := info.Podman
	if info.PrivatePodman {
		podman += " (its own)"
	}
	edge, root := "none", ""
	if info.Edge != nil {
		edge = fmt.Sprintf("https://NAME.localhost:%s, http://NAME.localhost:%s", portOf(info.Edge.HTTPS), portOf(info.Edge.HTTP))
		root = info.Edge.Root
	}
	table := ui.Table(s.Stdout)
	for _, line := range [][2]string{
		{"Temporal UI", info.UI}, {"gateway", info.Gateway.Address}, {"image registry", info.ImageRegistry},
		{"Postgres", info.Postgres}, {"podman", podman}, {"configuration", info.Config},
		{"workspace", info.Workspace}, {"services", info.Services}, {"metrics", info.Metrics},
		{"edge", edge}, {"its root", root},
	} {
		if line[1] == "" {
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	_ = table.Flush()
}

// log returns the log file of a platform in the background.
func (o devOptions) log() string { return filepath.Join(o.dir, dev.LogName) }

// portOf returns the port of an address.
func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
