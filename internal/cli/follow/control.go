package follow

import (
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/metacircular/mcp/workflows"
)

const (
	// controlTimeout is how long a workflow's own task may wait for a control
	// worker before there counts as none.
	controlTimeout = 3 * time.Second
	// waitingForControl is the line that shows the wait.
	waitingForControl = "no control worker polls the queue " + workflows.Queue + "; waiting for one (mcp worker --control)"
)

// controlWatch finds out from a workflow itself whether there is a control
// worker: Temporal lists the pollers of a dead one for minutes.
type controlWatch struct {
	since time.Time // when the task was first seen waiting
	gone  bool
}

// observe reports whether the workflow's task has waited for controlTimeout, and
// whether that is new since the last call. Call it once a second.
func (w *controlWatch) observe(described *workflowservice.DescribeWorkflowExecutionResponse) (gone, news bool) {
	before := w.gone
	switch {
	case !untaken(described.GetPendingWorkflowTask()):
		w.since = time.Time{}
	case w.since.IsZero():
		w.since = time.Now()
	}
	w.gone = !w.since.IsZero() && time.Since(w.since) >= controlTimeout
	return w.gone, w.gone && !before
}

func untaken(task *workflow.PendingWorkflowTaskInfo) bool {
	return task != nil && task.GetState() == enums.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
}
