package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// started is mcp run --detach --json.
type started struct {
	Service    string `json:"service"`
	Job        string `json:"job"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
}

func newRun(s *session.Session) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "run SERVICE/JOB [-- COMMAND [ARGUMENT…]]",
		Short: "Run a job now, and show what it prints",
		Long: `Run runs a job now, as its schedule would: with the definition and the image of
the release, on its node. With a command after -- it runs that instead of the
job's own, in the same container. It shows what the program prints, and exits with
its exit code when the run has ended. A job that is paused runs too.

While another run of the job is under way, run fails, waits or ends that one, as
the job's overlap has it.

Ctrl-C ends the command, and not the run: mcp job logs -f follows it again, and
mcp job cancel ends it.`,
		Example: "  mcp run shop/backup\n  mcp run shop/backup -- pg_dump --schema-only\n  mcp run --detach shop/backup",
		Args: session.Args(func(cmd *cobra.Command, given []string) error {
			if at := cmd.ArgsLenAtDash(); len(given) == 0 || at >= 0 && (at != 1 || len(given) < 2) || at < 0 && len(given) != 1 {
				return errors.New("give a job, and where it is to run another command, that after --")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := parse(args[0])
			if err != nil {
				return err
			}
			return runRun(cmd.Context(), s, of, args[1:], detach)
		},
	}
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "do not wait for the run to end")
	return cmd
}

func runRun(ctx context.Context, s *session.Session, of target, command []string, detach bool) error {
	cfg, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var link *session.Link
	if !detach {
		if link, err = s.Link(ctx, cfg); err != nil {
			return err
		}
	}
	if link != nil {
		defer link.Close()
	}
	in := workflows.RunJobInput{Service: of.service, Job: of.job, Command: command}
	in.Who, in.From = s.Identity()
	run, err := session.Start(ctx, c, client.StartWorkflowOptions{
		ID: workflows.RunID(of.service, of.job, session.Nonce()), TaskQueue: workflows.Queue,
		StaticSummary:            fmt.Sprintf("run %s for %s", of, in.Who),
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		TypedSearchAttributes:    temporal.NewSearchAttributes(workflows.SearchService.ValueSet(of.service)),
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}, workflows.RunJobName, in)
	if err != nil {
		return exit.Temporal(err)
	}
	if detach {
		showStarted(s, of, run)
		return nil
	}
	return attach(ctx, output{s, c, link}, of, run)
}

func showStarted(s *session.Session, of target, run client.WorkflowRun) {
	if s.JSON {
		s.PrintJSON(started{of.service, of.job, run.GetID(), run.GetRunID()})
		return
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s is asked to run: mcp job logs -f %s follows it\n", of, of)
}

// unhurried is how long the wait for a run prints nothing: only the output of the run
// is printed.
const unhurried = 365 * 24 * time.Hour

// attach shows the output of a run until it has ended.
func attach(ctx context.Context, from output, of target, run client.WorkflowRun) error {
	s := from.session
	show := &printer{session: s, out: s.Stdout, err: s.Stderr, shown: map[int]int{}}
	if s.JSON {
		show.out = s.Stderr // stdout gets the run
	}
	f := follower{output: from, show: show, in: reads.JobLogsInput{Service: of.service, Job: of.job, RunID: run.GetRunID()}}
	following, end := context.WithCancel(ctx)
	defer end()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		f.untilEnd(following)
	}()
	failed := s.Follow(from.client).Wait(ctx, run, follow.WaitOptions{Quiet: unhurried}, &fleet.JobRun{})
	end()
	<-followed
	if ctx.Err() != nil {
		s.Say("the run goes on: mcp job logs -f %s follows it, and mcp job cancel %s ends it", of, of)
		return exit.Interrupted
	}
	if err := f.rest(ctx); err != nil || f.last.Outcome == "" {
		if failed != nil { // there was no run: the failure says why
			return usageIfUnknown(failed)
		}
		return err
	}
	if s.JSON {
		f.last.Log = nil
		s.PrintJSON(f.last)
	} else {
		s.Say("run %d of %s %s, after %s", f.last.Number, of, f.last.Outcome, took(f.last))
	}
	return ended(s, f.last)
}
