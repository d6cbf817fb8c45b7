package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// synced is one entry of mcp sync --json.
type synced struct {
	// Service is "" for a file that is too broken to tell; the error names it.
	Service string `json:"service"`
	workflows.SyncResult
}

func newSync(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "sync [SERVICE…]",
		Short: "Record changed definitions without deploying them",
		Long: `Sync records the definitions of the named services, or of all in the services
directory, and shows what a deploy of each would then do. It deploys nothing and
waits for no deploy. mcp status says "pending" of a service until its release is
of the definition that was recorded last; a deploy records its own.

A definition with mistakes is told, and keeps no other from being recorded.`,
		Example: "  mcp sync\n  mcp sync shop guestbook",
		RunE:    func(cmd *cobra.Command, names []string) error { return a.sync(cmd.Context(), names) },
	}
}

func (a *App) sync(ctx context.Context, names []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	dir, names, list, err := syncable(cfg, names)
	if err != nil {
		return err
	}
	a.forget()
	c, err := a.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	code := 0
	if len(list) > 0 {
		code = exitUsage
	}
	for _, name := range names {
		entry, failed, err := a.syncOne(ctx, c, cfg, dir, name)
		if err != nil {
			return err
		}
		list, code = append(list, entry), max(code, failed)
	}
	a.showSynced(list)
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// syncable are the services to sync, of a directory: those that are named, or all
// that it defines, and an entry for each file there that cannot be read.
func syncable(cfg *config.Config, names []string) (*servicedef.Dir, []string, []synced, error) {
	list := []synced{}
	if len(names) == 0 {
		if _, err := definitionsIn(cfg.Services, cfg.Describe()); err != nil {
			return nil, nil, nil, usageError{err}
		}
	}
	dir, err := services(cfg)
	if err != nil || len(names) > 0 {
		return dir, names, list, err
	}
	all, problems := dir.Services()
	byFile := map[string]servicedef.Errors{}
	for _, p := range problems {
		byFile[p.File] = append(byFile[p.File], p)
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		_, f := classify(byFile[file])
		list = append(list, synced{SyncResult: workflows.SyncResult{Error: f}})
	}
	return dir, slices.Sorted(maps.Keys(all)), list, nil
}

// syncOne syncs one service. Failed is the exit code of what is wrong with it;
// an error is one of the control plane, which no other service would escape.
func (a *App) syncOne(ctx context.Context, c client.Client, cfg *config.Config, dir *servicedef.Dir, name string) (entry synced, failed int, err error) {
	entry.Service = name
	in, err := a.deployInput(cfg, dir, name, deployOptions{})
	if err == nil {
		err = a.read(ctx, c, "sync", workflows.SyncName, in, &entry.SyncResult)
	}
	var unreachable unreachableError
	if _, interrupted := asExit(err); interrupted || errors.As(err, &unreachable) {
		return entry, 0, err
	}
	if err != nil {
		failed, entry.Error = classify(err)
	} else if entry.Error != nil {
		failed = exitFailed
	}
	return entry, failed, nil
}

func (a *App) showSynced(list []synced) {
	if a.json {
		a.printJSON(list)
	}
	for _, s := range list {
		if !a.json && s.Recorded {
			_, _ = fmt.Fprintf(a.Stdout, "%s: its definition has changed, and is recorded\n", s.Service)
		}
		if !a.json && s.Plan != nil {
			writePlan(a.Stdout, *s.Plan)
		}
		if s.Error != nil {
			writeFault(a.Stderr, about(s.Service, s.Error))
		}
	}
}

// about says which service a fault is about.
func about(service string, f *fault.Error) *fault.Error {
	if service == "" {
		return f
	}
	told := *f
	told.Message = service + ": " + f.Message
	return &told
}
