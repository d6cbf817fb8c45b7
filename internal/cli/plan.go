package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/workflows"
)

func newPlan(a *App) *cobra.Command {
	var force, detailed bool
	cmd := &cobra.Command{
		Use:   "plan SERVICE[/COMPONENT]",
		Short: "Show what a deploy would do, and do nothing",
		Long: `Plan looks at the nodes and at the image registry as a deploy would, and shows
what a deploy of the definition as it is now would build, start, replace and
stop, and why. It changes nothing and waits for no deploy.

With --detailed-exitcode a script can tell "no change" from "changes".`,
		Example: "  mcp plan shop\n  mcp plan shop/api --detailed-exitcode",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.plan(cmd.Context(), args[0], force, detailed)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "plan to replace containers that have not changed, too")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 0 for no change, 2 for changes, 1 for an error")
	return cmd
}

func (a *App) plan(ctx context.Context, target string, force, detailed bool) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	dir, err := services(cfg)
	if err != nil {
		return err
	}
	in, err := a.deployInput(cfg, dir, target, deployOptions{force: force})
	if err != nil {
		return err
	}
	c, err := a.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	var result workflows.PlanResult
	if err := a.read(ctx, c, "plan", workflows.PlanName, in, &result); err != nil {
		return err
	}
	if a.json {
		a.printJSON(result)
	} else {
		writePlan(a.Stdout, result)
	}
	if detailed && !result.Plan.Unchanged() {
		return exitError(2)
	}
	return nil
}

// writePlan shows a plan to a person.
func writePlan(w io.Writer, r workflows.PlanResult) {
	p := r.Plan
	if p.Unchanged() {
		_, _ = fmt.Fprintf(w, "%s: no change\n", p.Service)
		return
	}
	from := "no release yet"
	if r.Release != 0 {
		from = fmt.Sprintf("from release %d", r.Release)
	}
	_, _ = fmt.Fprintf(w, "%s: %s\n", p.Service, from)
	for _, recovery := range p.Recovery {
		_, _ = fmt.Fprintf(w, "  ! %s: %s to put right, which a deploy that did not end has left, or somebody has renamed\n",
			recovery.Node, counted(len(recovery.Remove)+len(recovery.Rename), "container"))
	}
	for _, image := range r.Builds {
		_, _ = fmt.Fprintf(w, "  * build and push %s\n", image)
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, step := range p.Steps {
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\t%s\n", sign(step.Action), step.Component, step.Node, step.Action)
		for _, change := range step.Changes {
			if change.Field != "component" { // it is new, or goes: the sign says so
				_, _ = fmt.Fprintf(table, "      %s\n", changeText(change))
			}
		}
	}
	_ = table.Flush()
	if p.Definition && !p.TouchesContainers() {
		_, _ = fmt.Fprintln(w, "  the definition changes, and no container for it")
	}
}

// counted is a number with its noun: "1 container", "2 containers".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// changeText renders one change.
func changeText(c plan.Change) string {
	switch {
	case c.From == "":
		return fmt.Sprintf("%s: %s", c.Field, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s → (none)", c.Field, c.From)
	}
	return fmt.Sprintf("%s: %s → %s", c.Field, c.From, c.To)
}
