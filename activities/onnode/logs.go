package onnode

import (
	"context"
	"maps"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// ContainerLogs reads the output of containers. If it waits, it follows each
// through restarts, and into the container that is to take its name, which is
// read from its beginning, whether it becomes healthy or not; the one that had the name
// is read to its end. It returns once there are lines, or when the wait is over.
func (a *Node) ContainerLogs(ctx context.Context, in LogsInput) (LogsResult, error) {
	return attempt.Reporting(ctx, func(ctx context.Context, _ *attempt.Reporter) (LogsResult, error) {
		attempt.Allow(ctx, in.Wait)
		result, err := a.containerLogs(ctx, in)
		if err != nil {
			err = a.placed(err, "")
		}
		return result, err
	})
}

func (a *Node) containerLogs(ctx context.Context, in LogsInput) (LogsResult, error) {
	result := LogsResult{Sources: make([]SourceLogs, len(in.Sources))}
	for i, source := range in.Sources {
		s := &result.Sources[i]
		*s = SourceLogs{
			Component: source.Component, Container: source.Container, Marks: map[string]runtime.LogMark{},
			Found: map[string]int{}, ends: source.Ends,
		}
		maps.Copy(s.Marks, source.Marks)
		if in.Wait > 0 {
			continue
		}
		if err := readLast(ctx, a.Runtime, s, in, in.Bytes/len(in.Sources)); err != nil {
			return LogsResult{}, err
		}
	}
	if in.Wait > 0 {
		if err := a.follow(ctx, result.Sources, in); err != nil {
			return LogsResult{}, err
		}
	}
	return result, ctx.Err()
}

// readLast reads the last lines of a source, at most so many bytes of them.
func readLast(ctx context.Context, engine runtime.Runtime, s *SourceLogs, in LogsInput, bytes int) error {
	info, err := engine.Inspect(ctx, s.Container)
	if fault.Is(err, fault.NotFound) {
		s.Absent = true
		return nil
	}
	if err != nil {
		return err
	}
	s.Found[info.ID] = deploymentOf(info)
	var since time.Time
	switch {
	case in.Lines == 0:
		since = time.Now()
	case in.Since > 0:
		since = time.Now().Add(-in.Since)
	}
	last, mark := lastLines{lines: in.Lines, bytes: bytes}, runtime.LogMark{Time: since}
	err = engine.Logs(ctx, info.ID, runtime.LogQuery{Since: since, Tail: in.Lines}, func(line runtime.LogLine) bool {
		mark.Pass(line)
		last.add(LogLine{LogLine: line})
		return true
	})
	s.Lines, s.Cut, s.Marks[info.ID] = last.kept, last.cut, mark
	return err
}
