package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// listedService is one entry of mcp service list --json.
type listedService struct {
	Name       string   `json:"name"`
	Node       string   `json:"node"`
	Active     bool     `json:"active"`
	Components []string `json:"components"`
	File       string   `json:"file"`
}

func newServiceList(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the services that the services directory defines",
		Long: `List lists the services that the services directory defines, whether they have
been deployed or not; mcp status lists those that have.`,
		Example: "  mcp service list",
		Args:    args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return a.listServices() },
	}
}

func (a *App) listServices() error {
	dir, err := a.servicesDir()
	if err != nil {
		return err
	}
	services, problems, err := definitions(dir)
	if err != nil {
		return usageError{err}
	}
	list := []listedService{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s := services[name]
		list = append(list, listedService{s.Name, s.Node, s.Active, componentNames(s), s.File})
	}
	if a.json {
		a.printJSON(list)
	} else {
		a.writeServices(list)
	}
	if len(problems) > 0 {
		_, f := classify(problems)
		writeFault(a.Stderr, f)
		return exitError(exitUsage)
	}
	return nil
}

// servicesDir is the services directory, if one is set.
func (a *App) servicesDir() (string, error) {
	cfg, err := a.config()
	if err != nil {
		return "", err
	}
	if cfg.Services == "" {
		return "", noServices(cfg)
	}
	return cfg.Services, nil
}

// writeServices shows the list to a person.
func (a *App) writeServices(list []listedService) {
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SERVICE\tNODE\tACTIVE\tCOMPONENTS\tFILE")
	for _, s := range list {
		active := "yes"
		if !s.Active {
			active = "no"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.Node, active, strings.Join(s.Components, " "), s.File)
	}
	_ = table.Flush()
}

func newServiceShow(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "show SERVICE",
		Short: "Show a definition with all that its defaults fill in",
		Long: `Show prints a definition with all that its defaults fill in, as a definition that
means the same.`,
		Example: "  mcp service show shop",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return a.showService(args[0]) },
	}
}

func (a *App) showService(name string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	dir, err := services(cfg)
	if err != nil {
		return err
	}
	service, err := dir.Find(name)
	if err != nil {
		return usageOr(err)
	}
	if a.json {
		a.printJSON(service)
		return nil
	}
	_, _ = fmt.Fprintf(a.Stdout, "# %s\n%s", service.File, service.TOML())
	return nil
}
