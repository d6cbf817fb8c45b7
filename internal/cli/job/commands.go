// Package job has the verbs for jobs: jobs, run, and those of mcp job.
package job

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
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

// target names a job.
type target struct{ service, job string }

func (t target) String() string { return t.service + "/" + t.job }

// parse parses "SERVICE/JOB".
func parse(text string) (target, error) {
	service, job, ok := strings.Cut(text, "/")
	if !ok || service == "" || job == "" || strings.Contains(job, "/") {
		return target{}, exit.Usage(fmt.Errorf("%q is no job: name it as SERVICE/JOB, as mcp jobs lists them", text))
	}
	return target{service, job}, nil
}

// usageIfUnknown makes it an error of usage that a service, a job or a run does not exist.
func usageIfUnknown(err error) error {
	if _, ended := exit.CodeOf(err); !ended && fault.Is(err, fault.NotFound) {
		return exit.Usage(err)
	}
	return err
}
