package follow

import (
	"fmt"
	"time"

	"go.temporal.io/api/common/v1"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
)

// markOutput is the mark of a line that a step of the definition has printed.
const markOutput = "|"

// printed returns the lines of a task that were not shown before, and how many lines
// before them are missing. All counts the lines so far; last are the last of them.
func (s *step) printed(all int, last []string) (lines []string, missing int) {
	first := all - len(last) // the number of the first of last
	switch {
	case all <= s.shown:
		return nil, 0
	case first < s.shown:
		last = last[s.shown-first:]
	default:
		missing = first - s.shown
	}
	s.shown = all
	return last, missing
}

// output prints what a task has printed since it was last shown.
func (t *timeline) output(s *step, at time.Time, all int, last []string) {
	if t.quiet || t.story {
		return
	}
	lines, missing := s.printed(all, last)
	if missing > 0 {
		t.line(at, markOutput, fmt.Sprintf("… %s not shown", ui.Counted(missing, "line")))
	}
	for _, text := range lines {
		t.line(at, markOutput, text)
	}
}

// result prints the last lines of a task that has ended, and returns the mark of an
// activity that has returned a result: it has failed if the task has.
func (t *timeline) result(scheduled int64, at time.Time, payloads *common.Payloads) (mark string) {
	s, known := t.steps[scheduled]
	if !known || s.activity != "AwaitTask" {
		return markDone
	}
	var result fleet.TaskResult
	if t.decode.FromPayloads(payloads, &result) != nil {
		return markDone
	}
	t.output(s, at, result.Lines, result.Log)
	if result.State == fleet.TaskSucceeded {
		return markDone
	}
	t.failed, s.ending = s, result.Detail
	return markFailed
}
