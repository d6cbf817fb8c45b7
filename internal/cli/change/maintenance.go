package change

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/routes"
)

// maintained is mcp maintenance --json.
type maintained struct {
	Service     string `json:"service"`
	Maintenance bool   `json:"maintenance"`
	// Edges are those that are to answer so; one with an error does when it is back.
	Edges []routes.EdgePublished `json:"edges"`
}

func newMaintenance(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "maintenance SERVICE on|off",
		Short: "Put a service into maintenance: the edges answer its requests",
		Long: `Maintenance has the edges answer every request to a service with status 503 and a
page that says so, until it is off again. Connections of l4 routes are refused.
Its containers run on, and deploys work as before: they do not end it.`,
		Example: "  mcp maintenance shop on\n  mcp maintenance shop off",
		Args:    session.Args(cobra.MatchAll(cobra.ExactArgs(2), onOrOff)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runMaintenance(cmd.Context(), s, args[0], args[1] == "on")
		},
	}
}

// onOrOff checks the second argument.
func onOrOff(_ *cobra.Command, args []string) error {
	if args[1] != "on" && args[1] != "off" {
		return fmt.Errorf("maintenance is on or off, not %q", args[1])
	}
	return nil
}

func completeOnOff(context.Context, *session.Session, *config.Config, []string, string) []cobra.Completion {
	return []cobra.Completion{"on", "off"}
}

func runMaintenance(ctx context.Context, s *session.Session, service string, on bool) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var result workflows.MaintainResult
	in := workflows.MaintainInput{Service: service, On: on}
	err = s.Read(ctx, c, "maintenance", workflows.MaintainName, in, &result, session.Maintaining(service))
	if _, ended := exit.CodeOf(err); err != nil && !ended && fault.Is(err, fault.NotFound) {
		return exit.Usage(err)
	}
	if err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(maintained{Service: service, Maintenance: on, Edges: append([]routes.EdgePublished{}, result.Edges...)})
		return nil
	}
	if on {
		_, _ = fmt.Fprintf(s.Stdout, "%s: in maintenance; end it with mcp maintenance %s off\n", service, service)
	} else {
		_, _ = fmt.Fprintf(s.Stdout, "%s: served again\n", service)
	}
	for _, e := range result.Edges {
		if e.Error != nil {
			s.Say("edge %s has not taken it over: %s; it does when it is back", e.Edge, e.Error.Message)
		}
		for _, problem := range e.Problems {
			s.Say("edge %s: %s", e.Edge, problem)
		}
	}
	return nil
}
