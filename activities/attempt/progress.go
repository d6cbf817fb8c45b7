package attempt

import (
	"github.com/metacircular/mcp/internal/fleet"
)

// Progress is what an activity reports in its heartbeats.
type Progress struct {
	// Phase is the current step: "pull", "start", "health", "build", "push".
	Phase string `json:"phase"`
	// Detail is the progress of the step: "STEP 3/7", "12.0MB / 48.1MB".
	Detail string `json:"detail,omitempty"`
	// Output is what a task has printed lately; nil for other steps.
	Output *TaskOutput `json:"output,omitempty"`
}

// TaskOutput is the end of what a task has printed so far.
type TaskOutput struct {
	// Total counts all lines; Lines are the last ones.
	Total int      `json:"total"`
	Lines []string `json:"lines"`
}

// Bounds of the lines that a heartbeat contains.
const (
	maxOutputLines = 16
	MaxOutputLine  = 200
)

// With returns the output after another line. It shares nothing with o.
func (o TaskOutput) With(line string) TaskOutput {
	first := max(0, len(o.Lines)+1-maxOutputLines)
	lines := append(append(make([]string, 0, maxOutputLines), o.Lines[first:]...), fleet.Text(line, MaxOutputLine))
	return TaskOutput{Total: o.Total + 1, Lines: lines}
}
