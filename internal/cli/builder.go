package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workers"
)

// serveBuilds makes this process the builder while it runs, where the
// configuration has the workspace and the definition has something to build.
// It must follow a workflow already: one that refuses this command may have
// another process that serves its builds.
func (a *App) serveBuilds(ctx context.Context, c client.Client, cfg *config.Config, definition servicedef.Service) (stop func(), err error) {
	if cfg.Build.Workspace == "" || len(definition.Build.Images) == 0 {
		return func() {}, nil
	}
	w, err := workers.Start(ctx, c, workers.Options{
		Builder: &workers.Builder{
			Name:      cfg.Build.Builder,
			Workspace: cfg.Build.Workspace,
			Socket:    cfg.Build.Socket,
			Logs:      cfg.Build.Logs,
			Insecure:  cfg.ImageRegistry.Insecure,
			AuthFile:  cfg.ImageRegistry.AuthFile,
		},
		Logger:       a.logger(),
		Version:      version,
		Interceptors: a.Interceptors,
	})
	if err != nil {
		return nil, fmt.Errorf("serve builds: %w", err)
	}
	a.building = true
	return w.Stop, nil
}

// identity is who asks, and from which machine.
func (a *App) identity() (who, from string) {
	who = a.Getenv("USER")
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	from, err := os.Hostname()
	if err != nil {
		from = "unknown"
	}
	return who, from
}

// converter decodes memos, summaries and heartbeats.
func (a *App) converter() converter.DataConverter { return converter.GetDefaultDataConverter() }

// say tells a person what is going on; it never goes to stdout.
func (a *App) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, format+"\n", args...)
}

// nonce makes the id of a read unique.
func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
