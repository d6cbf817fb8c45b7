package cli

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

func newOpen(a *App) *cobra.Command {
	var printed bool
	cmd := &cobra.Command{
		Use:   "open [SERVICE]",
		Short: "Open Temporal's UI, at the runs of a service",
		Long: `Open opens Temporal's UI in your browser, at the runs of a service. It prints the
address where it is told to, away from a terminal, and where there is no
xdg-open.`,
		Example: "  mcp open shop\n  mcp open --print",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.openUI(cmd.Context(), strings.Join(args, ""), printed)
		},
	}
	cmd.Flags().BoolVar(&printed, "print", false, "print the address, and open nothing")
	return cmd
}

// opened is what mcp open --json prints.
type opened struct {
	URL string `json:"url"`
}

func (a *App) openUI(ctx context.Context, service string, printed bool) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	address, err := uiAddress(cfg, service)
	if err != nil {
		return err
	}
	stdout, isFile := behind(a.Stdout).(*os.File)
	switch {
	case a.json:
		a.printJSON(opened{address})
		return nil
	case !printed && isFile && term.IsTerminal(int(stdout.Fd())) && exec.CommandContext(ctx, "xdg-open", address).Run() == nil:
		a.say("opened %s", address)
		return nil
	}
	_, _ = fmt.Fprintln(a.Stdout, address)
	return nil
}

// uiAddress is that of the page with a service's workflows, or with all.
func uiAddress(cfg *config.Config, service string) (string, error) {
	if cfg.Temporal.UI == "" {
		return "", usageError{fault.New(fault.NotFound, "mcp does not know where Temporal's UI is").
			WithHint("set [temporal] ui in mcp.toml; this configuration is %s", cfg.Describe())}
	}
	options, err := cfg.TemporalOptions()
	if err != nil {
		return "", usageError{err}
	}
	address := strings.TrimRight(cfg.Temporal.UI, "/") + "/namespaces/" + url.PathEscape(options.Namespace) + "/workflows"
	if service != "" {
		query := fmt.Sprintf("%s = %q", workflows.SearchService.GetName(), service)
		address += "?" + url.Values{"query": {query}}.Encode()
	}
	return address, nil
}
