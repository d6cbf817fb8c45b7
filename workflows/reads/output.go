package reads

import (
	"cmp"
	"fmt"
	"time"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// maxAnswer bounds the bytes that a read returns: Temporal's limit is 2 MB.
const maxAnswer = 1 << 20

// MaxLogLines is the maximum of a component's lines in one answer.
const MaxLogLines = onnode.MaxLogLines

// LogMarks are where to go on reading a component's output, by the ids of its
// containers.
type LogMarks = map[string]onnode.LogMark

// LogLine is a line of output.
type LogLine = onnode.LogLine

// LogsInput asks for the output of a service's components.
type LogsInput struct {
	Service string `json:"service"`
	// Component is one of them, or a step or a job, of which the last run is read; "" for
	// all components.
	Component string `json:"component,omitempty"`
	// Lines is the number of last lines wanted of each; 0 for new lines only.
	Lines int `json:"lines"`
	// Since is how far back these may go; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
	// Wait asks instead for what one component prints after the Marks, where a former
	// answer ended, and is how long to wait for it.
	Wait  time.Duration `json:"wait,omitempty"`
	Marks LogMarks      `json:"marks,omitempty"`
	// Where asks only where the components are, or the last run: no node is asked for lines.
	// Recorded also asks for those that were recorded with the end of the run.
	Where    bool `json:"where,omitempty"`
	Recorded bool `json:"recorded,omitempty"`
}

// LogsResult is the output of components.
type LogsResult struct {
	// Components are the names of all components of the service.
	Components []string `json:"components"`
	// Logs are those of the components that were asked for, sorted by name.
	Logs []ComponentLogs `json:"logs"`
	// Run is the run of a step or of a job whose output that is; nil for components.
	Run *LoggedRun `json:"run,omitempty"`
}

// ComponentLogs is the output of a component.
type ComponentLogs struct {
	onnode.SourceLogs
	Node string `json:"node"`
	// Adopted is set for a container that mcp has not started, if LogsInput.Where asks.
	Adopted bool `json:"adopted,omitempty"`
	// Error is why the node did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// LoggedRun is the run of a step or of a job whose output has been read.
type LoggedRun struct {
	Kind fleet.TaskKind `json:"kind"`
	// Deployment is the one that the run is a step of, or whose release has the job, and Number
	// that of a job's run.
	Deployment int `json:"deployment"`
	Number     int `json:"number,omitempty"`
	// State is "running", or how it has ended, with the detail.
	State  string    `json:"state"`
	Detail string    `json:"detail,omitempty"`
	Ended  time.Time `json:"ended,omitzero"`
	// Recorded is set if the node has not given the output: the lines are the last
	// ones, which were recorded with the end, without their times.
	Recorded bool `json:"recorded,omitempty"`
	// Task is what its node identifies it by.
	Task fleet.Task `json:"task,omitzero"`

	node, container string
	log             []string
}

// Summary describes the run in one line: "run 3 of shop/backup failed: exited with code 1".
func (r LoggedRun) Summary(service, name string) string {
	text := fmt.Sprintf("step %s of deployment %d of %s", name, r.Deployment, service)
	if r.Kind == fleet.JobTask {
		text = fmt.Sprintf("run %d of %s/%s", r.Number, service, name)
	}
	if r.State == string(fleet.TaskRunning) {
		return text + " is under way"
	}
	text += ": " + cmp.Or(r.Detail, r.State)
	if r.Recorded {
		text += "; these are the last lines that were recorded, as its node has no more"
	}
	return text
}
