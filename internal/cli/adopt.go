package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

func newAdopt(a *App) *cobra.Command {
	var dry bool
	var deadline time.Duration
	cmd := &cobra.Command{
		Use:   "adopt SERVICE",
		Short: "Take over containers that run already, without restarting them",
		Long: `Adopt makes a release of containers that were not started by mcp: those whose
names are the ones that mcp gives to the service's components, on the nodes that
its definition names. They are not restarted, renamed or made anew. They are
taken as they are: where one has another image, other ports or another node than
the definition says, mcp plan tells, and the next deploy replaces it as it would
one of mcp's own. Image, ports and node are all that is compared; for the rest
the definition is taken at its word.

Nothing is adopted where a name has two containers, or one that does not run or
is another service's. A component without a container is left to the next
deploy. What else starts these containers, such as a systemd unit, is yours to
switch off.`,
		Example: "  mcp adopt shop --dry-run\n  mcp adopt shop",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.adopt(cmd.Context(), args[0], dry, deadline)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be adopted, and adopt nothing")
	cmd.Flags().DurationVar(&deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

func (a *App) adopt(ctx context.Context, service string, dry bool, deadline time.Duration) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	definition, _, err := definition(cfg, service)
	if err != nil {
		return err
	}
	c, err := a.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	in := workflows.DeployInput{Verb: workflows.VerbAdopt, Definition: *definition, Deadline: cmp.Or(deadline, time.Duration(cfg.Deadline))}
	in.Who, in.From = a.identity()
	if dry {
		return a.rehearseAdoption(ctx, c, in)
	}
	if err := a.perform(ctx, c, in); err != nil || a.json {
		return err
	}
	return a.showNext(ctx, c, in, cfg.Build.Builder)
}

// rehearseAdoption shows what an adopt would take over.
func (a *App) rehearseAdoption(ctx context.Context, c client.Client, in workflows.DeployInput) error {
	var found plan.Adoption
	if err := a.read(ctx, c, "adopt", workflows.AdoptionName, in, &found); err != nil {
		return err
	}
	if a.json {
		a.printJSON(found)
		return nil
	}
	_, _ = fmt.Fprintf(a.Stdout, "%s: %s to adopt\n", found.Service, counted(len(found.Adopted), "container"))
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	for _, m := range found.Members {
		word := "mcp's already"
		if slices.ContainsFunc(found.Adopted, func(t fleet.Adopted) bool { return t.Component == m.Component }) {
			word = "would be adopted as it is"
		}
		_, _ = fmt.Fprintf(table, "  = %s\t%s\t%s\t%s\t%s\n", m.Component, m.Node, m.Container, m.Image, word)
	}
	for _, component := range found.Absent {
		_, _ = fmt.Fprintf(table, "  + %s\t\t\t\thas no container: a deploy starts one\n", component)
	}
	_ = table.Flush()
	for _, left := range found.Left {
		_, _ = fmt.Fprintf(a.Stdout, "  left alone: %s\n", left)
	}
	return nil
}

// showNext shows what a deploy would do to what has been adopted. That it
// cannot be told takes nothing from the adoption.
func (a *App) showNext(ctx context.Context, c client.Client, in workflows.DeployInput, builder string) error {
	in.Verb, in.Builder = workflows.VerbDeploy, builder
	var next workflows.PlanResult
	if err := a.read(ctx, c, "plan", workflows.PlanName, in, &next); err != nil {
		a.say("what a deploy would do next cannot be told: %v", err)
		return nil
	}
	_, _ = fmt.Fprintln(a.Stdout, "What a deploy would do next:")
	writePlan(a.Stdout, next)
	return nil
}
