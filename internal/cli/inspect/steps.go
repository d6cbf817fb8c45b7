package inspect

import (
	"fmt"
	"io"
	"time"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// pastDeployment is a deployment with the runs of its steps.
type pastDeployment struct {
	fleet.DeploymentRecord
	Steps []reads.StepRun `json:"steps,omitempty"`
}

// writeStepRuns prints the runs of steps with their output, for a person.
func writeStepRuns(w io.Writer, runs []reads.StepRun) {
	for _, r := range runs {
		line := fmt.Sprintf("step %s on %s", r.Name, r.Node)
		if r.Try > 1 {
			line += fmt.Sprintf(", run %d", r.Try)
		}
		line += ": " + string(r.State)
		if r.Detail != "" && r.State != fleet.TaskSucceeded {
			line += ": " + r.Detail
		}
		if !r.Started.IsZero() && !r.Ended.IsZero() {
			line += fmt.Sprintf(" (%s)", r.Ended.Sub(r.Started).Round(10*time.Millisecond))
		}
		_, _ = fmt.Fprintln(w, line)
		lines := r.Log
		if r.Problem == "" {
			lines = nil
			for _, printed := range r.Output {
				lines = append(lines, printed.Text)
			}
		} else {
			_, _ = fmt.Fprintf(w, "  ! %s; its last lines:\n", r.Problem)
		}
		if hidden := r.Lines - len(lines); hidden > 0 {
			_, _ = fmt.Fprintf(w, "  | … %s before\n", ui.Counted(hidden, "line"))
		}
		for _, text := range lines {
			_, _ = fmt.Fprintf(w, "  | %s\n", text)
		}
	}
}
