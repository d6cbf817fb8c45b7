package onnode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// Bounds of the output of a task that is kept on its node: the last of each.
const (
	MaxTaskLog   = 1 << 20 // bytes
	maxKeptLines = 100_000
)

// TaskLogInput selects the output of a task.
type TaskLogInput struct {
	Service string     `json:"service"`
	Task    fleet.Task `json:"task"`
	// Lines is how many of the last lines to read, and Bytes bounds the answer.
	Lines int `json:"lines"`
	Bytes int `json:"bytes"`
}

// TaskLogResult is output of a task.
type TaskLogResult struct {
	Lines []LogLine `json:"lines,omitempty"`
	// Cut is set if the first of the selected lines are omitted.
	Cut bool `json:"cut,omitempty"`
	// Absent is set if the node has no output of the task: it has printed nothing, or
	// what was kept has been removed.
	Absent bool `json:"absent,omitempty"`
}

// TaskLog reads the output of a task: from its container while that exists, or else what
// was kept.
func (a *Node) TaskLog(ctx context.Context, in TaskLogInput) (TaskLogResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, _ *attempt.Reporter) (TaskLogResult, error) { return a.taskLog(ctx, in) })
}

func (a *Node) taskLog(ctx context.Context, in TaskLogInput) (TaskLogResult, error) {
	name := in.Task.Container(in.Service)
	last := lastLines{lines: min(in.Lines, MaxLogLines), bytes: in.Bytes}
	err := a.Runtime.Logs(ctx, name, runtime.LogQuery{Tail: last.lines}, func(line runtime.LogLine) bool {
		last.add(LogLine{LogLine: line})
		return true
	})
	if fault.Is(err, fault.NotFound) && a.TaskLogs != nil {
		var output []byte
		if output, err = a.TaskLogs.Read(name); err == nil {
			err = readKept(output, keptOf{in.Service, in.Task}, last.add)
		}
	}
	if fault.Is(err, fault.NotFound) {
		return TaskLogResult{Absent: true}, nil
	}
	if err != nil {
		return TaskLogResult{}, a.placed(err, in.Task.Name)
	}
	return TaskLogResult{Lines: last.kept, Cut: last.cut}, nil
}

// keptOf begins an output that is kept: names of containers do not say which service they
// belong to.
type keptOf struct {
	Service string     `json:"service"`
	Task    fleet.Task `json:"task"`
}

// keepable returns lines as they are kept: JSON, a line each, after a line that says
// whose they are.
func keepable(of keptOf, lines []LogLine) ([]byte, error) {
	var output bytes.Buffer
	encoder := json.NewEncoder(&output)
	if err := encoder.Encode(of); err != nil {
		return nil, fmt.Errorf("encode a task: %w", err)
	}
	for _, line := range lines {
		if err := encoder.Encode(line.LogLine); err != nil {
			return nil, fmt.Errorf("encode a line of output: %w", err)
		}
	}
	return output.Bytes(), nil
}

// readKept reads what keepable has written. The error is NotFound if that is of another
// task.
func readKept(output []byte, of keptOf, each func(LogLine)) error {
	decoder := json.NewDecoder(bytes.NewReader(output))
	var kept keptOf
	if err := decoder.Decode(&kept); err != nil || kept != of {
		return fault.New(fault.NotFound, "the output that was kept is not that of %s %s of service %s", of.Task.Kind, of.Task.Name, of.Service)
	}
	for {
		var line LogLine
		err := decoder.Decode(&line.LogLine)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the output that was kept: %w", err)
		}
		each(line)
	}
}
