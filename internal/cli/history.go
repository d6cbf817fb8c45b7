package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func newHistory(a *App) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history SERVICE [N]",
		Short: "List past deployments, or tell the whole story of one",
		Long: `History lists the deployments of a service, the newest first; * marks the one
that runs. With the number N it shows every step of one, as the deploy itself
showed it, for as long as Temporal keeps them.`,
		Example: "  mcp history shop\n  mcp history shop 12",
		Args:    args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.history(cmd.Context(), args[0], limit)
			}
			number, err := strconv.Atoi(args[1])
			if err != nil || number < 1 {
				return usageError{fmt.Errorf("%q is no deployment: want a number from mcp history %s", args[1], args[0])}
			}
			return a.story(cmd.Context(), args[0], number)
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many of the newest to list; 0 for all")
	return cmd
}

func (a *App) history(ctx context.Context, service string, limit int) error {
	var result workflows.HistoryResult
	err := a.query(ctx, "history", workflows.HistoryName, workflows.HistoryInput{Service: service, Limit: limit}, &result)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(result)
		return nil
	}
	if len(result.Deployments) == 0 {
		return neverDeployed(service)
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "  N\tVERB\tOUTCOME\tSTARTED\tTOOK\tWHO\tERROR")
	for _, d := range result.Deployments {
		mark := " "
		if d.Number == result.Release {
			mark = "*"
		}
		_, _ = fmt.Fprintf(table, "%s %d\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, d.Number, d.Verb, cmp.Or(d.Outcome, "under way"),
			d.Started.Local().Format(time.DateTime), took(d), d.Who, firstLine(d.ErrorMessage))
	}
	return table.Flush()
}

// neverDeployed is the fault of a service that the registry does not know.
func neverDeployed(service string) error {
	return usageError{fault.New(fault.NotFound, "service %s has never been deployed", service).
		WithHint("deploy it: mcp deploy %s", service)}
}

func took(d fleet.DeploymentRecord) string {
	if d.Finished.IsZero() {
		return ""
	}
	return d.Finished.Sub(d.Started).Round(10 * time.Millisecond).String()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// story renders a past deployment as a live one was rendered.
func (a *App) story(ctx context.Context, service string, number int) error {
	_, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var known workflows.HistoryResult
	if err := a.read(ctx, c, "history", workflows.HistoryName, workflows.HistoryInput{Service: service}, &known); err != nil {
		return err
	}
	i := slices.IndexFunc(known.Deployments, func(d fleet.DeploymentRecord) bool { return d.Number == number })
	if i < 0 {
		return usageError{fault.New(fault.NotFound, "service %s has no deployment %d", service, number).
			WithHint("list them: mcp history %s", service)}
	}
	d := known.Deployments[i]
	return a.tell(ctx, c, d)
}

// tell shows the steps of a deployment, as long as Temporal keeps them, and
// how it ended.
func (a *App) tell(ctx context.Context, c client.Client, d fleet.DeploymentRecord) error {
	view := newTimeline(a.Stderr, a.converter())
	view.live = a.screen != nil
	events := c.GetWorkflowHistory(ctx, d.WorkflowID, d.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			a.say("Temporal no longer keeps the steps of this deployment")
			break
		}
		if err != nil {
			return temporalFault(err)
		}
		view.event(event)
	}
	if a.json {
		a.printJSON(d)
		return nil
	}
	_, _ = fmt.Fprintf(a.Stdout, "%s: %s %d, %s, by %s on %s\n", d.Service, d.Verb, d.Number, cmp.Or(d.Outcome, "under way"), d.Who, d.From)
	if d.ErrorMessage != "" {
		_, _ = fmt.Fprintf(a.Stdout, "  %s: %s\n", d.ErrorKind, d.ErrorMessage)
	}
	for _, undone := range d.Undone {
		_, _ = fmt.Fprintf(a.Stdout, "  not done: %s\n", undone)
	}
	return nil
}
