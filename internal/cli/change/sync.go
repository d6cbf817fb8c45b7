package change

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/workflows"
)

// synced is one entry of mcp sync --json.
type synced struct {
	// Service is "" for a file without a readable name; the error names the file.
	Service string `json:"service"`
	workflows.SyncResult
}

func newSync(s *session.Session) *cobra.Command {
	var dirty bool
	cmd := &cobra.Command{
		Use:   "sync [SERVICE…]",
		Short: "Record changed definitions without deploying them",
		Long: `Sync records the definitions of the named services, or of all in the services
directory, and shows what a deploy of each would then do. It deploys nothing and
waits for no deploy. mcp status shows a service as "pending" until its release has
the definition that was recorded last; a deploy records its own.

A definition with mistakes is reported, and the others are recorded.`,
		Example: "  mcp sync\n  mcp sync shop guestbook",
		RunE:    func(cmd *cobra.Command, names []string) error { return runSync(cmd.Context(), s, names, dirty) },
	}
	dirtyFlag(cmd, &dirty)
	return cmd
}

func runSync(ctx context.Context, s *session.Session, names []string, dirty bool) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	dir, names, list, err := syncable(cfg, names)
	if err != nil {
		return err
	}
	s.Forget()
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	code := exit.Done
	if len(list) > 0 {
		code = exit.BadUsage
	}
	for _, name := range names {
		entry, failed, err := syncOne(ctx, s, c, cfg, dir, name, dirty)
		if err != nil {
			return err
		}
		list, code = append(list, entry), max(code, failed)
	}
	showSynced(s, list)
	if code != exit.Done {
		return code
	}
	return nil
}

// syncable returns the services to sync, the named ones or all of a directory, and an
// entry for each file there that cannot be read.
func syncable(cfg *config.Config, names []string) (*servicedir.Dir, []string, []synced, error) {
	list := []synced{}
	if len(names) == 0 {
		if _, err := session.DefinitionFiles(cfg); err != nil {
			return nil, nil, nil, err
		}
	}
	dir, err := session.Definitions(cfg)
	if err != nil || len(names) > 0 {
		return dir, names, list, err
	}
	all, problems := dir.Services()
	byFile := map[string]servicedef.Errors{}
	for _, p := range problems {
		byFile[p.File] = append(byFile[p.File], p)
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		list = append(list, synced{SyncResult: workflows.SyncResult{Error: exit.FaultOf(byFile[file])}})
	}
	return dir, slices.Sorted(maps.Keys(all)), list, nil
}

// syncOne syncs one service. Failed is the exit code of the service's own error; an
// error returned is one of the control plane, and would repeat for every service.
func syncOne(ctx context.Context, s *session.Session, c client.Client, cfg *config.Config, dir *servicedir.Dir, name string, dirty bool) (entry synced, failed exit.Code, err error) {
	entry.Service = name
	in, err := s.DeployTarget(cfg, dir, name)
	if err == nil {
		err = s.ResolveInput(ctx, cfg, &in, dirty)
	}
	if err == nil {
		err = s.Read(ctx, c, "sync", workflows.SyncName, in, &entry.SyncResult)
	}
	if _, interrupted := exit.CodeOf(err); interrupted || exit.IsUnreachable(err) {
		return entry, 0, err
	}
	if err != nil {
		failed, entry.Error = exit.Classify(err)
	} else if entry.Error != nil {
		failed = exit.Failed
	}
	return entry, failed, nil
}

func showSynced(s *session.Session, list []synced) {
	if s.JSON {
		s.PrintJSON(list)
	}
	for _, entry := range list {
		if !s.JSON && entry.Recorded {
			_, _ = fmt.Fprintf(s.Stdout, "%s: its definition has changed, and is recorded\n", entry.Service)
		}
		if !s.JSON && entry.Plan != nil {
			follow.WritePlan(s.Stdout, *entry.Plan)
		}
		if entry.Error != nil {
			s.Fault(about(entry.Service, entry.Error))
		}
	}
}

// about adds the service to a fault.
func about(service string, f *fault.Error) *fault.Error {
	if service == "" {
		return f
	}
	named := *f
	named.Message = service + ": " + f.Message
	return &named
}
