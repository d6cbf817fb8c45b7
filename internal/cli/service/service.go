package service

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/servicedef"
)

// Command returns mcp service, with its verbs.
func Command(s *session.Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Work with service definitions",
		Args:  session.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(s), newShow(s), newNew(s), newEdit(s), newCheck(s), newImport(s), newExport(s))
	return cmd
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"service check": {[]checked{}},
		"service list":  {[]listedService{}},
		"service show":  {servicedef.Service{}},
		"service new":   {writtenService{}},
		"service edit":  {edited{}},

		"service import": {importedService{}},
		"service export": {exportedService{}},
	}
}
