package reads

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
)

// Bounds of the output that a read of the steps of a deployment returns.
const (
	stepRunLines = 1000
	maxStepRuns  = 100
)

// StepRun is a run of a step, with its output as far as its node has it.
type StepRun struct {
	fleet.TaskRecord
	// Output are its last lines, oldest first. Cut is set if there were more.
	Output []onnode.LogLine `json:"output,omitempty"`
	Cut    bool             `json:"cut,omitempty"`
	// Problem is why the node has not given it: then the record's Log has the last lines.
	Problem string `json:"problem,omitempty"`
}

// stepRuns reads the runs of the steps of a deployment, oldest first.
func stepRuns(ctx workflow.Context, service string, deployment int) ([]StepRun, error) {
	query := fleet.TaskQuery{Service: service, Kind: fleet.StepTask, Deployment: deployment, Limit: maxStepRuns}
	records, err := call.Control(ctx, "list the steps", call.ReadTimeout, control.Tasks, query)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	slices.Reverse(records)
	runs, g := make([]StepRun, len(records)), call.NewGroup(ctx)
	for i, record := range records {
		runs[i].TaskRecord = record
		asked := onnode.TaskLogInput{Service: service, Task: record.Task, Lines: stepRunLines, Bytes: maxAnswer / len(records)}
		step := call.ReadStep(g.Context(), record.Node, "read the output of "+record.Name)
		g.Add(workflow.ExecuteActivity(step, node.TaskLog, asked), func(f workflow.Future) error {
			var found onnode.TaskLogResult
			err := call.NodeFault(f.Get(ctx, &found), record.Node)
			switch {
			case call.IsCancelled(err):
				return err
			case err != nil:
				runs[i].Problem = attempt.FaultOf(err).Message
			case found.Absent && record.Lines > 0:
				runs[i].Problem = "node " + record.Node + " does not have its output any more"
			}
			runs[i].Output, runs[i].Cut = found.Lines, found.Cut || record.Lines > len(found.Lines) && !found.Absent && record.State.Ended()
			return nil
		})
	}
	return runs, g.Wait(ctx)
}
