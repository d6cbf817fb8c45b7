package service

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
)

// listedService is one entry of mcp service list --json.
type listedService struct {
	Name       string   `json:"name"`
	Node       string   `json:"node"`
	Active     bool     `json:"active"`
	Components []string `json:"components"`
	File       string   `json:"file"`
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
	dir, err := s.ServicesDir()
	if err != nil {
		return err
	}
	services, problems, err := session.SoundDefinitions(dir)
	if err != nil {
		return exit.Usage(err)
	}
	list := []listedService{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		one := services[name]
		list = append(list, listedService{one.Name, one.Node, one.Active, session.ComponentNames(one), one.File})
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
	_, _ = fmt.Fprintln(table, "SERVICE\tNODE\tACTIVE\tCOMPONENTS\tFILE")
	for _, one := range list {
		active := "yes"
		if !one.Active {
			active = "no"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", one.Name, one.Node, active, strings.Join(one.Components, " "), one.File)
	}
	_ = table.Flush()
}
