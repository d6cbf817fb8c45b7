package service

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// listedService is one entry of mcp service list --json.
type listedService struct {
	Name       string   `json:"name"`
	Node       string   `json:"node"`
	Active     bool     `json:"active"`
	Components []string `json:"components"`
	// Environments are those of the definition: mcp deploy SERVICE -e ENVIRONMENT.
	Environments []string `json:"environments"`
	File         string   `json:"file"`
}

func newList(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the services that the services directory defines",
		Long: `List lists the services that the services directory defines, whether they have
been deployed or not; mcp status lists those that have.`,
		Example: "  mcp service list",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return runList(s) },
	}
}

func runList(s *session.Session) error {
	path, err := s.ServicesDir()
	if err != nil {
		return err
	}
	dir, err := servicedir.Read(path)
	if err != nil {
		return exit.Usage(err)
	}
	services, problems := dir.Services()
	list := []listedService{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		one := services[name]
		environments := append([]string{}, dir.EnvironmentsOf(name)...)
		list = append(list, listedService{one.Name, one.Node, one.Active, session.ComponentNames(one), environments, one.File})
	}
	if s.JSON {
		s.PrintJSON(list)
	} else {
		writeServices(s, list)
	}
	if len(problems) > 0 {
		s.Fault(exit.FaultOf(problems))
		return exit.BadUsage
	}
	return nil
}

// writeServices prints the list for a person.
func writeServices(s *session.Session, list []listedService) {
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "SERVICE\tNODE\tACTIVE\tCOMPONENTS\tENVIRONMENTS\tFILE")
	for _, one := range list {
		active := "yes"
		if !one.Active {
			active = "no"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", one.Name, one.Node, active,
			strings.Join(one.Components, " "), cmp.Or(strings.Join(one.Environments, " "), "-"), one.File)
	}
	_ = table.Flush()
}
