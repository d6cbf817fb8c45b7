package onnode

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/metacircular/mcp/internal/runtime"
)

// MaxLogLines is how many of a component's lines one answer holds at most.
const MaxLogLines = 10000

// LogMark is where to go on reading the output of a container.
type LogMark = runtime.LogMark

// LogsInput selects output of a node's containers.
type LogsInput struct {
	Sources []LogSource `json:"sources"`
	// Lines is how many of the last lines of each to read; 0 for the lines from now
	// on.
	Lines int `json:"lines"`
	// Since is how old these may be, by the node's clock; 0 for any age.
	Since time.Duration `json:"since,omitempty"`
	// Wait, if it is not 0, selects instead the lines after the marks of each, and is how
	// long to wait for such lines.
	Wait time.Duration `json:"wait,omitempty"`
	// Bytes bounds the answer.
	Bytes int `json:"bytes"`
	// Prompt ends the wait also when containers come or go.
	Prompt bool `json:"-"`
}

// LogSource is a component whose container is read.
type LogSource struct {
	Component string `json:"component"`
	Container string `json:"container"`
	// Marks are where a former answer ended, by the containers' ids.
	Marks map[string]runtime.LogMark `json:"marks,omitempty"`
	// Ends says that the container runs once, to its end, which ends the wait.
	Ends bool `json:"ends,omitempty"`
}

// LogsResult is the output of the containers.
type LogsResult struct {
	Sources []SourceLogs `json:"sources"`
}

// SourceLogs is the output of the containers of one component.
type SourceLogs struct {
	Component string    `json:"component"`
	Container string    `json:"container"`
	Lines     []LogLine `json:"lines,omitempty"`
	// Marks are where to go on, by the containers' ids.
	Marks map[string]runtime.LogMark `json:"marks"`
	// Cut is set if the first of the selected lines are omitted.
	Cut bool `json:"cut,omitempty"`
	// Absent is set if the node has no container of that name.
	Absent bool `json:"absent,omitempty"`
	// Lost is set if the log has begun again since the marks, with lines in between that
	// were not read.
	Lost bool `json:"lost,omitempty"`

	// Ended is set if the source ends, and this is the last of its output.
	Ended bool `json:"-"`
	// Found are the deployments of the containers that were found, by their ids; 0 for one
	// that has none.
	Found map[string]int `json:"-"`

	ends bool
}

// LogLine is a line of output.
type LogLine struct {
	runtime.LogLine
	// Container is the one that has printed it, if that waits as a successor: it does not
	// have the source's name.
	Container string `json:"container,omitempty"`

	id   string
	mark runtime.LogMark
}

// Position returns the id of the container that has printed a line which was waited for,
// and the mark after it.
func (l LogLine) Position() (id string, after runtime.LogMark) { return l.id, l.mark }

// lastLines keeps the last lines that are added.
type lastLines struct {
	lines, bytes int
	kept         []LogLine
	size         int
	// cut is set if a selected line was dropped because of its size.
	cut bool
}

func (l *lastLines) add(line LogLine) {
	l.kept = append(l.kept, line)
	l.size += sizeOf(line)
	for len(l.kept) > l.lines || l.size > l.bytes {
		l.cut = l.cut || l.size > l.bytes || l.lines >= MaxLogLines
		l.size -= sizeOf(l.kept[0])
		l.kept = l.kept[1:]
	}
}

// sizeOf returns how many bytes a line takes in an answer.
func sizeOf(line LogLine) int {
	text, _ := json.Marshal(line) // strings and a time
	return len(text) + 1
}

// deploymentOf is the deployment of a container, by its labels.
func deploymentOf(c runtime.ContainerInfo) int {
	number, _ := strconv.Atoi(c.Labels[runtime.LabelDeployment])
	return number
}
