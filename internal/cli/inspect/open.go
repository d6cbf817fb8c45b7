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
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

type openOptions struct {
	printed, ui bool
}

func newOpen(s *session.Session) *cobra.Command {
	var o openOptions
	cmd := &cobra.Command{
		Use:   "open [SERVICE]",
		Short: "Open a service in a browser, or its runs in Temporal's UI",
		Long: `Open opens a service in your browser, at the first of the URLs at which the edges
serve it. With --ui, without a service, and where the edges serve nothing of the
service, it opens Temporal's UI, at the runs of the service. It prints the address
instead with --print, without a terminal, and where there is no xdg-open.`,
		Example: "  mcp open shop\n  curl $(mcp open shop --print)\n  mcp open shop --ui",
		Args:    session.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runOpen(cmd.Context(), s, strings.Join(args, ""), o)
		},
	}
	cmd.Flags().BoolVar(&o.printed, "print", false, "print the address, and open nothing")
	cmd.Flags().BoolVar(&o.ui, "ui", false, "open Temporal's UI, at the runs of the service")
	return cmd
}

// opened is what mcp open --json prints.
type opened struct {
	// URL is what is opened.
	URL string `json:"url"`
	// URLs are all those of the service; empty where it opens Temporal's UI.
	URLs []string `json:"urls"`
}

func runOpen(ctx context.Context, s *session.Session, service string, o openOptions) error {
	urls := []string{}
	if service != "" && !o.ui {
		var err error
		if urls, err = urlsOf(ctx, s, service); err != nil {
			return err
		}
	}
	if len(urls) > 0 {
		return openAddress(ctx, s, opened{urls[0], urls}, o.printed)
	}
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	address, err := uiAddress(cfg, service)
	if err != nil {
		return err
	}
	if service != "" && !o.ui {
		s.Say("the edges serve no URL of %s: these are its runs in Temporal's UI", service)
	}
	return openAddress(ctx, s, opened{address, urls}, o.printed)
}

// openAddress opens an address, or prints it if it cannot.
func openAddress(ctx context.Context, s *session.Session, o opened, printed bool) error {
	stdout, isFile := ui.Behind(s.Stdout).(*os.File)
	switch {
	case s.JSON:
		s.PrintJSON(o)
		return nil
	case !printed && isFile && term.IsTerminal(int(stdout.Fd())) && exec.CommandContext(ctx, "xdg-open", o.URL).Run() == nil:
		s.Say("opened %s", o.URL)
		return nil
	}
	_, _ = fmt.Fprintln(s.Stdout, o.URL)
	return nil
}

// urlsOf returns the URLs of a service that a browser can open, in the order of its
// routes. Those that redirect to another come last.
func urlsOf(ctx context.Context, s *session.Session, service string) ([]string, error) {
	var result reads.RoutesResult
	if err := s.Query(ctx, "open", reads.RoutesName, reads.RoutesInput{Service: service}, &result); err != nil {
		return nil, usageIfUnknown(err)
	}
	urls, redirects := []string{}, []string{}
	for _, r := range result.Routes {
		switch {
		case r.Endpoint.Protocol != fleet.ProtocolHTTP || r.URL == "" || r.Endpoint.Wildcard():
		case r.Redirect != "":
			redirects = append(redirects, r.URL)
		default:
			urls = append(urls, r.URL)
		}
	}
	return append(urls, redirects...), nil
}

// uiAddress returns the address of the page with a service's workflows; "" is all.
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
