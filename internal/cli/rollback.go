package cli

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func newRollback(a *App) *cobra.Command {
	var to int
	var deadline time.Duration
	cmd := &cobra.Command{
		Use:   "rollback SERVICE",
		Short: "Deploy a former release again, by the digests that it had",
		Long: `Rollback deploys the release before this one, or the one that --to names, with
its own definition and the very images that it had, wherever their tags point
now. It is a deploy like any other: health-gated, and put back if it fails.
After mcp undeploy and mcp stop it brings back what ran last.`,
		Example: "  mcp rollback shop\n  mcp rollback shop --to 12",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rollback(cmd.Context(), args[0], to, deadline)
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the number of the release, from mcp history")
	cmd.Flags().DurationVar(&deadline, "deadline", 0, "how long to wait for what is down (default 30m)")
	return cmd
}

func (a *App) rollback(ctx context.Context, service string, to int, deadline time.Duration) error {
	cfg, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	deadline = cmp.Or(deadline, time.Duration(cfg.Deadline))
	snapshot, err := a.formerRelease(ctx, c, service, to, deadline)
	if err != nil {
		return err
	}
	in := workflows.DeployInput{
		Verb:       workflows.VerbRollback,
		Definition: snapshot.Definition,
		Release:    snapshot.Number,
		Digests:    snapshot.Digests,
		Deadline:   deadline,
	}
	in.Who, in.From = a.identity()
	return a.perform(ctx, c, in)
}

// formerRelease reads the release to go back to: the one named, or the newest
// before the one that runs.
func (a *App) formerRelease(ctx context.Context, c client.Client, service string, to int, deadline time.Duration) (fleet.Snapshot, error) {
	var snapshot fleet.Snapshot
	if to == 0 {
		var known workflows.HistoryResult
		if err := a.readFirst(ctx, c, "history", deadline, workflows.HistoryName, workflows.HistoryInput{Service: service}, &known); err != nil {
			return snapshot, err
		}
		if len(known.Deployments) == 0 {
			return snapshot, neverDeployed(service)
		}
		if to = before(known); to == 0 {
			return snapshot, fault.New(fault.NotFound, "service %s has no release before release %d", service, known.Release)
		}
		a.say("back from release %d to release %d", known.Release, to)
	}
	err := a.readFirst(ctx, c, "snapshot", deadline, workflows.SnapshotName, workflows.SnapshotInput{Service: service, Number: to}, &snapshot)
	return snapshot, err
}

// before is the number of the newest release before the one that runs; where
// none does, after an undeploy or a stop, it is the one that ran last. What was
// stopped, started, restarted or brought back by the monitor is the release
// before it.
func before(known workflows.HistoryResult) int {
	passed := false // what runs
	for _, d := range known.Deployments {
		switch {
		case d.Number > known.Release || d.Outcome != string(workflows.Succeeded):
		case d.Number == known.Release && workflows.Verb(d.Verb).Idles():
			passed = true // nothing runs
		case workflows.Verb(d.Verb).Repeats():
		case !passed:
			passed = true
		default:
			return d.Number
		}
	}
	return 0
}
