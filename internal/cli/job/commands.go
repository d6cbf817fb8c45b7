// Package job implements the verbs for jobs: jobs, run, and those of mcp job.
package job

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fleet"
)

// Commands returns mcp jobs, mcp run, and mcp job with its verbs.
func Commands(s *session.Session) []*cobra.Command {
	job := &cobra.Command{
		Use: "job", Short: "Pause a job, list its runs, and read what they printed",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	job.AddCommand(newPause(s), newResume(s), newHistory(s), newLogs(s), newCancel(s))
	return []*cobra.Command{newJobs(s), newRun(s), job}
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"jobs":        {[]listed{}},
		"run":         {fleet.JobRun{}, started{}},
		"job pause":   {paused{}},
		"job resume":  {paused{}},
		"job history": {[]fleet.JobRun{}},
		"job logs":    {line{}},
		"job cancel":  {cancelled{}},
	}
}
