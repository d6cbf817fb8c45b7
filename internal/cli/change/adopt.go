package change

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/adoption"
	"github.com/metacircular/mcp/workflows"
)

func newAdopt(s *session.Session) *cobra.Command {
	var dry bool
	var deadline time.Duration
	cmd := &cobra.Command{
		Use:   "adopt SERVICE",
		Short: "Take over containers that run already, without restarting them",
		Long: `Adopt makes a release of containers that were not started by mcp: those whose
names are the ones that mcp gives to the service's components, on the nodes that
its definition names. They are not restarted, renamed or recreated. They are
taken unchanged: where one has another image, other ports or another node than
the definition, mcp plan shows that, and the next deploy replaces it like any
other container. Only image, ports and node are compared; everything else is
assumed to match the definition.

Nothing is adopted where a name has two containers, or one that does not run or
is another service's. A component without a container is left to the next
deploy. If something else starts these containers, such as a systemd unit,
disable it.`,
		Example: "  mcp adopt shop --dry-run\n  mcp adopt shop",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAdopt(cmd.Context(), s, args[0], dry, deadline)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be adopted, and adopt nothing")
	deadlineFlag(cmd, &deadline)
	return cmd
}

func runAdopt(ctx context.Context, s *session.Session, service string, dry bool, deadline time.Duration) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	definition, _, err := session.Definition(cfg, service)
	if err != nil {
		return err
	}
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	in := workflows.DeployInput{Verb: fleet.VerbAdopt, Definition: *definition, Deadline: cmp.Or(deadline, time.Duration(cfg.Deadline))}
	in.Who, in.From = s.Identity()
	if err := s.ResolveInput(ctx, cfg, &in, true); err != nil { // an adopt builds nothing
		return err
	}
	if dry {
		return showAdoption(ctx, s, c, in)
	}
	if err := perform(ctx, s, c, in, true); err != nil || s.JSON {
		return err
	}
	return showNext(ctx, s, c, in, cfg.Build.Builder)
}

// showAdoption shows the containers that an adopt would take over.
func showAdoption(ctx context.Context, s *session.Session, c client.Client, in workflows.DeployInput) error {
	var found adoption.Adoption
	if err := s.Read(ctx, c, "adopt", workflows.AdoptionName, in, &found); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(found)
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: %s to adopt\n", found.Service, ui.Counted(len(found.Adopted), "container"))
	table := ui.Table(s.Stdout)
	for _, m := range found.Members {
		word := "mcp's already"
		if slices.ContainsFunc(found.Adopted, func(t fleet.Adopted) bool { return t.Component == m.Component }) {
			word = "would be adopted unchanged"
		}
		_, _ = fmt.Fprintf(table, "  = %s\t%s\t%s\t%s\t%s\n", m.Component, m.Node, m.Container, m.Image, word)
	}
	for _, component := range found.Absent {
		_, _ = fmt.Fprintf(table, "  + %s\t\t\t\thas no container: a deploy starts one\n", component)
	}
	_ = table.Flush()
	for _, left := range found.Left {
		_, _ = fmt.Fprintf(s.Stdout, "  left alone: %s\n", left)
	}
	return nil
}

// showNext shows what a deploy would do to the adopted containers. The adopt has
// succeeded even if that cannot be read.
func showNext(ctx context.Context, s *session.Session, c client.Client, in workflows.DeployInput, builder string) error {
	in.Verb, in.Builder = fleet.VerbDeploy, builder
	var next workflows.PlanResult
	if err := s.Read(ctx, c, "plan", workflows.PlanName, in, &next); err != nil {
		s.Say("the plan of the next deploy cannot be read: %v", err)
		return nil
	}
	_, _ = fmt.Fprintln(s.Stdout, "What a deploy would do next:")
	follow.WritePlan(s.Stdout, next)
	return nil
}
