package follow

import (
	"fmt"
	"io"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// writeJobs prints what becomes of the jobs.
func writeJobs(w io.Writer, jobs []plan.JobStep) {
	table := ui.Table(w)
	for _, step := range jobs {
		_, _ = fmt.Fprintf(table, "  %s %s\t%s\t%s\n", Sign(step.Action), step.Job, step.Node, step.Action)
		for _, change := range step.Changes {
			_, _ = fmt.Fprintf(table, "      %s\n", changeText(change))
		}
		if due := dueText(step); due != "" {
			_, _ = fmt.Fprintf(table, "      %s\n", due)
		}
	}
	_ = table.Flush()
}

// dueText says when a job runs: "runs at 0 3 * * *, next at 2026-03-02 03:00:00".
func dueText(step plan.JobStep) string {
	switch {
	case step.Schedule == "":
		return ""
	case step.Schedule == servicedef.Manual:
		return "runs when asked: mcp run"
	case step.Paused:
		return "is paused: mcp job resume"
	}
	text := "runs at " + step.Schedule
	if step.Timezone != "UTC" {
		text += " " + step.Timezone
	}
	if !step.Next.IsZero() {
		text += ", next at " + ui.Moment(step.Next)
	}
	return text
}
