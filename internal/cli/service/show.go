package service

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
)

func newShow(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:     "show SERVICE",
		Short:   "Show a definition with its defaults filled in",
		Long:    `Show prints a definition with its defaults filled in, as an equivalent definition.`,
		Example: "  mcp service show shop",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return runShow(s, args[0]) },
	}
}

func runShow(s *session.Session, name string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	dir, err := session.Definitions(cfg)
	if err != nil {
		return err
	}
	service, err := dir.Find(name)
	if err != nil {
		return exit.Usage(err)
	}
	if s.JSON {
		s.PrintJSON(service)
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "# %s\n%s", service.File, service.TOML())
	return nil
}
