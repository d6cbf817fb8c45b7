package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// TaskKind is what a task belongs to.
type TaskKind string

const (
	// StepTask is a step of a deployment, which fences it.
	StepTask TaskKind = "step"
	// JobTask is a run of a job, which goes on while its service is deployed.
	JobTask TaskKind = "job"
)

// Task identifies a task: a container that runs to its end, once. It has the labels of
// its service and is not a member of a release. The zero value is none.
type Task struct {
	// ID is that of the run: whoever asks again for the same one gets the same container.
	ID   string   `json:"id"`
	Kind TaskKind `json:"kind"`
	// Name is that of the step or the job, a DNS label.
	Name string `json:"name"`
}

// IsZero reports whether t is no task.
func (t Task) IsZero() bool { return t == Task{} }

// Container returns the name of the task's container. No component's container has it.
func (t Task) Container(service string) string {
	sum := sha256.Sum256([]byte(t.ID))
	return servicedef.ContainerNameFor(service, t.Name) + TaskSuffix + hex.EncodeToString(sum[:6])
}

// TaskSuffix is what the names of tasks' containers have between the name of the step
// or the job and a hash of the task's id.
const TaskSuffix = ".run-"

// Valid reports whether a task is one that mcp can have started.
func (t Task) Valid() bool { return !t.IsZero() && t == t.checked() }

// checked returns a task as mcp can have labelled it; the zero value for any other.
func (t Task) checked() Task {
	if t.ID == "" || len(t.ID) > maxName || !servicedef.IsLabel(t.Name) || t.Kind != StepTask && t.Kind != JobTask {
		return Task{}
	}
	return t
}

// TaskState is how a task stands.
type TaskState string

// The states. All but TaskRunning are final.
const (
	TaskRunning   TaskState = "running"
	TaskSucceeded TaskState = "succeeded" // exited with code 0
	TaskFailed    TaskState = "failed"    // exited with another code
	TaskTimedOut  TaskState = "timed out" // stopped because it took too long
	TaskStopped   TaskState = "stopped"   // stopped on request
	// TaskLost is a task whose end was not seen: its container is gone, or its host
	// was booted while it ran. It may have done all of its work, a part, or nothing.
	TaskLost TaskState = "lost"
)

// Ended reports whether the state is final.
func (s TaskState) Ended() bool { return s != TaskRunning && s != "" }

// TaskResult is how a task has ended.
type TaskResult struct {
	State    TaskState `json:"state"`
	ExitCode int       `json:"exit_code"`
	// Detail describes the end: "exited with code 3".
	Detail string `json:"detail,omitempty"`
	// Started and Ended are by the node's clock; zero where that is not known.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Log are the last lines of output, oldest first, at most MaxTaskTail bytes, and
	// Lines how many there were altogether.
	Log   []string `json:"log,omitempty"`
	Lines int      `json:"lines,omitempty"`
}

// Bounds of the last lines of a task's output that travel, and are recorded.
const (
	MaxTaskTail     = 4 << 10
	maxTaskTailLine = 512
	maxTaskLines    = 40
)

// TaskTail returns the last of some lines, within the bounds.
func TaskTail(lines []string) []string {
	var tail []string
	for size := 0; len(lines) > 0 && len(tail) < maxTaskLines; {
		last := Text(lines[len(lines)-1], maxTaskTailLine)
		if size += len(last) + 1; size > MaxTaskTail {
			break
		}
		tail, lines = append(tail, last), lines[:len(lines)-1]
	}
	slices.Reverse(tail)
	return tail
}

// Checked returns a result with only values that it can have.
func (r TaskResult) Checked() TaskResult {
	r.Detail, r.Log = Text(r.Detail, maxText), TaskTail(r.Log)
	r.ExitCode, r.Lines = within(r.ExitCode, -maxCount, maxCount), within(r.Lines, 0, maxCount)
	r.Started, r.Ended = moment(r.Started), moment(r.Ended)
	if !slices.Contains([]TaskState{TaskRunning, TaskSucceeded, TaskFailed, TaskTimedOut, TaskStopped, TaskLost}, r.State) {
		r.State = TaskLost
	}
	return r
}

// TaskRecord is a task as the registry has it.
type TaskRecord struct {
	Task
	Service string `json:"service"`
	// Deployment is the one that the task is a step of, or whose release the job is of.
	Deployment int    `json:"deployment"`
	Node       string `json:"node"`
	Container  string `json:"container"`
	Image      string `json:"image,omitempty"`
	// Try counts the runs of a step from 1.
	Try int `json:"try"`
	TaskResult
}

// Summary describes the task in one line: "migrate: exited with code 3".
func (r TaskRecord) Summary() string {
	return strings.TrimSpace(r.Name + ": " + cmp.Or(r.Detail, string(r.State)))
}

// TaskQuery selects runs of steps and jobs; an empty field selects all.
type TaskQuery struct {
	Service    string   `json:"service"`
	Kind       TaskKind `json:"kind,omitempty"`
	Name       string   `json:"name,omitempty"`
	Deployment int      `json:"deployment,omitempty"`
	// Limit is how many of the newest to read; 0 for all.
	Limit int `json:"limit,omitempty"`
	// Bare leaves out what they have printed.
	Bare bool `json:"bare,omitempty"`
}
