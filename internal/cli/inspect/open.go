package inspect

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

func newOpen(s *session.Session) *cobra.Command {
	var printed bool
	cmd := &cobra.Command{
		Use:   "open [SERVICE]",
		Short: "Open Temporal's UI, at the runs of a service",
		Long: `Open opens Temporal's UI in your browser, at the runs of a service. It prints the
address instead with --print, without a terminal, and where there is no xdg-open.`,
		Example: "  mcp open shop\n  mcp open --print",
		Args:    session.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runOpen(cmd.Context(), s, strings.Join(args, ""), printed)
		},
	}
	cmd.Flags().BoolVar(&printed, "print", false, "print the address, and open nothing")
	return cmd
}

// opened is what mcp open --json prints.
type opened struct {
	URL string `json:"url"`
}

func runOpen(ctx context.Context, s *session.Session, service string, printed bool) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	address, err := uiAddress(cfg, service)
	if err != nil {
		return err
	}
	stdout, isFile := ui.Behind(s.Stdout).(*os.File)
	switch {
	case s.JSON:
		s.PrintJSON(opened{address})
		return nil
	case !printed && isFile && term.IsTerminal(int(stdout.Fd())) && exec.CommandContext(ctx, "xdg-open", address).Run() == nil:
		s.Say("opened %s", address)
		return nil
	}
	_, _ = fmt.Fprintln(s.Stdout, address)
	return nil
}

// uiAddress is the address of the page with a service's workflows; "" is all.
func uiAddress(cfg *config.Config, service string) (string, error) {
	if cfg.Temporal.UI == "" {
		return "", exit.Usage(fault.New(fault.NotFound, "the address of Temporal's UI is not set").
			WithHint("set [temporal] ui in mcp.toml; this configuration is %s", cfg.Describe()))
	}
	options, err := cfg.TemporalOptions()
	if err != nil {
		return "", exit.Usage(err)
	}
	address := strings.TrimRight(cfg.Temporal.UI, "/") + "/namespaces/" + url.PathEscape(options.Namespace) + "/workflows"
	if service != "" {
		query := fmt.Sprintf("%s = %q", workflows.SearchService.GetName(), service)
		address += "?" + url.Values{"query": {query}}.Encode()
	}
	return address, nil
}
