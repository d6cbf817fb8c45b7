package local

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
)

func newDoctor(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that mcp needs, and show how to repair it",
		Long: `Doctor checks what mcp needs: the configuration and the definitions, Temporal,
the control worker, Postgres, each node and its podman, the builder and the image
registries; and of the edges whether they answer and serve the newest routes,
reach the containers, have certificates, and are where the hostnames lead. It
exits 0 where nothing fails, 1 where something does, and 4 where the control plane
cannot be reached.`,
		Example: "  mcp doctor",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), s) },
	}
}

func runDoctor(ctx context.Context, s *session.Session) error {
	cfg, err := s.Config()
	if err != nil {
		return showFindings(s, []finding{fail("configuration", exit.FaultOf(err).WithHint("docs/mcp.example.toml explains each key"))})
	}
	configured := ok("configuration", "%s", cfg.Describe())
	if cfg.File() == "" {
		configured = warn("configuration", "write one (docs/mcp.example.toml explains each key), or name one: --config, MCP_CONFIG", "%s", cfg.Describe())
	}
	services := readDefined(cfg)
	here := make(chan []finding, 1)
	go func() { here <- checkHere(ctx, cfg, services) }()
	plane := checkPlane(ctx, s, cfg, services)
	if ctx.Err() != nil {
		return exit.Interrupted
	}
	return showFindings(s, slices.Concat([]finding{configured, services.finding}, <-here, plane))
}

// showFindings shows the findings, and returns the exit code.
func showFindings(s *session.Session, list []finding) error {
	if s.JSON {
		s.PrintJSON(list)
	} else {
		writeFindings(s, list)
	}
	code := exit.Done
	for _, f := range list {
		switch {
		case f.unreachable:
			code = exit.NoControlPlane
		case f.Status == statusFail:
			code = max(code, exit.Failed)
		}
	}
	if code != exit.Done {
		return code
	}
	return nil
}

// writeFindings prints the findings for a person.
func writeFindings(s *session.Session, list []finding) {
	table := ui.Table(s.Stdout)
	for _, f := range list {
		lines := strings.Split(strings.TrimSpace(f.Detail), "\n")
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.Status, f.Check, lines[0])
		for _, line := range lines[1:] {
			_, _ = fmt.Fprintf(table, "\t\t%s\n", line)
		}
		if f.Hint != "" {
			_, _ = fmt.Fprintf(table, "\t\thint: %s\n", f.Hint)
		}
	}
	_ = table.Flush()
}
