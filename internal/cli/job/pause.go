package job

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/workflows"
)

// paused is mcp job pause --json, and that of resume.
type paused struct {
	Service string `json:"service"`
	Job     string `json:"job"`
	Paused  bool   `json:"paused"`
}

func newPause(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "pause SERVICE/JOB",
		Short: "Have a job not run by its schedule until it is resumed",
		Long: `Pause has a job not run by its schedule. The pause outlives deploys, rollbacks and
an undeploy, until mcp job resume. A run that is under way goes on, and mcp run
runs the job meanwhile. The times that pass are not caught up with.`,
		Example: "  mcp job pause shop/backup",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, from := s.Identity()
			return setPaused(cmd.Context(), s, args[0], who+" on "+from)
		},
	}
}

func newResume(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:     "resume SERVICE/JOB",
		Short:   "Have a job that was paused run by its schedule again",
		Long:    `Resume has a job run by its schedule again, from its next time on.`,
		Example: "  mcp job resume shop/backup",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return setPaused(cmd.Context(), s, args[0], "") },
	}
}

// setPaused pauses a job in the name of by, or resumes it if by is "".
func setPaused(ctx context.Context, s *session.Session, name, by string) error {
	of, err := parse(name)
	if err != nil {
		return err
	}
	verb, done := "job resume", "runs by its schedule again"
	if by != "" {
		verb, done = "job pause", "is paused, until mcp job resume "+of.String()
	}
	in := workflows.PauseJobInput{Service: of.service, Job: of.job, By: by}
	if err := s.Query(ctx, verb, workflows.PauseJobName, in, nil, session.ChangingJob(of.service, of.job, verb)); err != nil {
		return usageIfUnknown(err)
	}
	if s.JSON {
		s.PrintJSON(paused{of.service, of.job, by != ""})
	} else {
		_, _ = fmt.Fprintf(s.Stdout, "%s %s\n", of, done)
	}
	return nil
}
