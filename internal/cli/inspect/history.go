package inspect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

func newHistory(s *session.Session) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history SERVICE [N]",
		Short: "List past deployments, or show every step of one",
		Long: `History lists the deployments of a service, the newest first; * marks the current
release, and COMMIT is where the images come from whose tag is {git}. With the
number N it shows every step of one, as the deploy itself showed it, while
Temporal retains them, the output of the [[steps]] that it has run, and the last
lines of a container or a build that it failed for.`,
		Example: "  mcp history shop\n  mcp history shop 12",
		Args:    session.Args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return runHistory(cmd.Context(), s, args[0], limit)
			}
			number, err := strconv.Atoi(args[1])
			if err != nil || number < 1 {
				return exit.Usage(fmt.Errorf("%q is no deployment: give a number from mcp history %s", args[1], args[0]))
			}
			return showDeployment(cmd.Context(), s, args[0], number)
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many of the newest to list; 0 for all")
	return cmd
}

func runHistory(ctx context.Context, s *session.Session, service string, limit int) error {
	var result reads.HistoryResult
	err := s.Query(ctx, "history", reads.HistoryName, reads.HistoryInput{Service: service, Limit: limit}, &result)
	if err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(result)
		return nil
	}
	if len(result.Deployments) == 0 {
		return session.NeverDeployed(service)
	}
	table := ui.Table(s.Stdout)
	commit := ""
	if slices.ContainsFunc(result.Deployments, func(d fleet.DeploymentRecord) bool { return len(d.Sources) > 0 }) {
		commit = "COMMIT\t"
	}
	_, _ = fmt.Fprintln(table, "  N\tVERB\tOUTCOME\tSTARTED\tTOOK\tWHO\t"+commit+"ERROR")
	for _, d := range result.Deployments {
		mark := " "
		if d.Number == result.Release {
			mark = "*"
		}
		if commit != "" {
			commit = sourcesText(d) + "\t"
		}
		_, _ = fmt.Fprintf(table, "%s %d\t%s\t%s\t%s\t%s\t%s\t%s%s\n", mark, d.Number, d.Verb, cmp.Or(d.Outcome, "under way"),
			ui.Moment(d.Started), took(d), d.Who, commit, ui.FirstLine(d.ErrorMessage))
	}
	return table.Flush()
}

// took is how long a deployment took; "" while it is under way.
func took(d fleet.DeploymentRecord) string {
	if d.Finished.IsZero() {
		return ""
	}
	return d.Finished.Sub(d.Started).Round(10 * time.Millisecond).String()
}

// showDeployment shows a past deployment as the deploy itself showed it.
func showDeployment(ctx context.Context, s *session.Session, service string, number int) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var known reads.HistoryResult
	if err := s.Read(ctx, c, "history", reads.HistoryName, reads.HistoryInput{Service: service, Steps: number}, &known); err != nil {
		return err
	}
	i := slices.IndexFunc(known.Deployments, func(d fleet.DeploymentRecord) bool { return d.Number == number })
	if i < 0 {
		return exit.Usage(fault.New(fault.NotFound, "service %s has no deployment %d", service, number).
			WithHint("list them: mcp history %s", service))
	}
	d := known.Deployments[i]
	if err := s.Follow(c).Story(ctx, d.WorkflowID, d.RunID); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(pastDeployment{d, known.Steps})
		return nil
	}
	writeDeployment(s, d)
	writeStepRuns(s.Stdout, known.Steps)
	return nil
}

// writeDeployment prints how a deployment ended, for a person.
func writeDeployment(s *session.Session, d fleet.DeploymentRecord) {
	_, _ = fmt.Fprintf(s.Stdout, "%s: %s %d, %s, by %s on %s\n", d.Service, d.Verb, d.Number, cmp.Or(d.Outcome, "under way"), d.Who, d.From)
	for _, image := range slices.Sorted(maps.Keys(d.Sources)) {
		_, _ = fmt.Fprintf(s.Stdout, "  %s: commit %s %s\n", image, d.Sources[image].Short(), d.Sources[image].Subject)
	}
	if d.ErrorMessage != "" {
		_, _ = fmt.Fprintf(s.Stdout, "  %s: %s\n", d.ErrorKind, d.ErrorMessage)
	}
	if len(d.ErrorLog) > 0 {
		_, _ = fmt.Fprintln(s.Stdout, "  its last lines:")
	}
	for _, line := range d.ErrorLog {
		_, _ = fmt.Fprintf(s.Stdout, "  | %s\n", line)
	}
	for _, undone := range d.Undone {
		_, _ = fmt.Fprintf(s.Stdout, "  not done: %s\n", undone)
	}
}
