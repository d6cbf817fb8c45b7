package onnode

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// MaxLogLines is how many of a component's lines one answer holds at most.
const MaxLogLines = 10000

const (
	// logPause is how often a follow checks whether a container has been created, or
	// runs again.
	logPause = 500 * time.Millisecond
	// logGather is how long a follow waits for more lines after the first, so that
	// lines that are printed at once do not take an answer each.
	logGather = 150 * time.Millisecond
	// endingPause is the time until the next look at a container that ends.
	endingPause = 50 * time.Millisecond
)

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
	// Wait, if it is not 0, selects the lines after the marks of each instead, and is
	// how long to wait for some.
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
	// Ends says that the container runs once, to its end, with which the wait is over.
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
	// Lost is set if the log has begun anew since the marks, with lines in between that
	// were not read.
	Lost bool `json:"lost,omitempty"`

	// Ended is set where the source ends, and this is the last of its output.
	Ended bool `json:"-"`
	// Found are the deployments of the containers that were found, by their ids; 0 for one
	// that has none.
	Found map[string]int `json:"-"`

	ends bool
}

// LogLine is a line of output.
type LogLine struct {
	runtime.LogLine
	// Container is the one that has printed it, where that waits as a successor: it has
	// not the source's name.
	Container string `json:"container,omitempty"`

	id   string
	mark runtime.LogMark
}

// Position returns the id of the container that has printed a line which was waited for,
// and the mark after it.
func (l LogLine) Position() (id string, after runtime.LogMark) { return l.id, l.mark }

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

// follow follows sources until there are lines or the wait is over. It returns the
// first error only if there are none.
func (a *Node) follow(ctx context.Context, sources []SourceLogs, in LogsInput) error {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, in.Wait)
	defer cancel()
	f := &follower{engine: a.Runtime, readers: &a.readers, room: in.Bytes, end: cancel, names: map[string]string{}, caller: caller, prompt: in.Prompt}
	var all sync.WaitGroup
	for i := range sources {
		all.Go(func() { f.source(ctx, &sources[i]) })
	}
	all.Wait()
	if f.some {
		return nil
	}
	return f.err
}

// follower gathers lines of several containers into one answer.
type follower struct {
	engine  runtime.Runtime
	readers *readers
	end     context.CancelFunc
	// caller is the context of the whole read: one that is cancelled is not followed by
	// another.
	caller context.Context

	mu   sync.Mutex
	room int // bytes that the answer may still take
	some bool
	err  error // the first
	// names are those of containers, by their ids, when they were last seen.
	names map[string]string
	// prompt is set where the wait ends soon after a container has come or gone.
	prompt bool
}

// source follows one component: the containers that it had, any that takes its name,
// and any that waits to.
func (f *follower) source(ctx context.Context, s *SourceLogs) {
	leave := f.readers.enter(s.Container)
	defer func() { leave(f.caller.Err() == nil) }()
	var all sync.WaitGroup
	defer all.Wait()
	followed := slices.Sorted(maps.Keys(s.Marks))
	for _, id := range followed {
		all.Go(func() { f.container(ctx, s, id) })
	}
	for ctx.Err() == nil {
		for _, name := range []string{s.Container, s.Container + fleet.NextSuffix} {
			info, err := f.engine.Inspect(ctx, name)
			if err == nil && f.found(s, info, name, followed) {
				followed = append(followed, info.ID)
				all.Go(func() { f.container(ctx, s, info.ID) })
			}
			f.meet(ctx, err)
		}
		_ = attempt.Sleep(ctx, logPause) // the loop checks ctx
	}
}

// container follows one container, through restarts, until it is removed.
func (f *follower) container(ctx context.Context, s *SourceLogs, id string) {
	leave := f.readers.enter(id)
	defer func() { leave(f.caller.Err() == nil) }()
	for ctx.Err() == nil {
		f.mu.Lock()
		mark := s.Marks[id]
		f.mu.Unlock()
		f.readers.end(id, false)
		full, first, over := false, true, s.ends && f.stopped(ctx, id)
		err := f.engine.Logs(ctx, id, runtime.LogQuery{Since: mark.Time, Follow: true}, mark.After(func(line runtime.LogLine, lost bool) bool {
			f.lose(s, first && lost)
			first = false
			full = !f.add(ctx, s, id, line)
			return !full
		}))
		if err == nil {
			f.readers.end(id, !full)
			switch {
			case over && !full:
				f.ended(s)
				return
			case s.ends:
				_ = attempt.Sleep(ctx, endingPause) // the loop checks ctx
			default:
				err = f.untilRunning(ctx, id)
			}
		}
		if fault.Is(err, fault.NotFound) {
			f.forget(s, id)
			if s.ends {
				f.ended(s)
			}
			return
		}
		f.meet(ctx, err)
		if err != nil {
			_ = attempt.Sleep(ctx, logPause) // the loop checks ctx
		}
	}
}

// stopped reports whether a container has run, and does not any more.
func (f *follower) stopped(ctx context.Context, id string) bool {
	info, err := f.engine.Inspect(ctx, id)
	return err == nil && info.State == runtime.Stopped
}

// untilRunning returns when a container runs again.
func (f *follower) untilRunning(ctx context.Context, id string) error {
	for {
		info, err := f.engine.Inspect(ctx, id)
		if err != nil || info.State == runtime.Running {
			return err
		}
		if err := attempt.Sleep(ctx, logPause); err != nil {
			return err
		}
	}
}

// add adds a line to the answer, unless that is full.
func (f *follower) add(ctx context.Context, s *SourceLogs, id string, printed runtime.LogLine) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := LogLine{LogLine: printed}
	if name := f.names[id]; name != s.Container {
		line.Container = name
	}
	size := sizeOf(line)
	if ctx.Err() != nil || f.some && size > f.room {
		f.end()
		return false
	}
	if !f.some {
		f.some = true
		time.AfterFunc(logGather, f.end)
	}
	f.room -= size
	s.Lines = append(s.Lines, line)
	mark := s.Marks[id]
	mark.Pass(printed)
	s.Marks[id] = mark
	last := &s.Lines[len(s.Lines)-1]
	last.id, last.mark = id, mark
	return true
}

// found records the name of a container, and reports whether it is to be followed from
// its beginning because it is none of those known.
func (f *follower) found(s *SourceLogs, c runtime.ContainerInfo, name string, known []string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[c.ID], s.Found[c.ID] = name, deploymentOf(c)
	if slices.Contains(known, c.ID) {
		return false
	}
	s.Marks[c.ID] = runtime.LogMark{}
	f.changed()
	return true
}

// changed ends the wait soon. The caller has the lock.
func (f *follower) changed() {
	if f.prompt {
		time.AfterFunc(logGather, f.end)
	}
}

// ended ends the wait with that of a source.
func (f *follower) ended(s *SourceLogs) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Ended = true
	f.end()
}

// deploymentOf is the deployment of a container, by its labels.
func deploymentOf(c runtime.ContainerInfo) int {
	number, _ := strconv.Atoi(c.Labels[runtime.LabelDeployment])
	return number
}

// lose records whether lines of a source are lost.
func (f *follower) lose(s *SourceLogs, lost bool) {
	if lost {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.Lost = true
	}
}

func (f *follower) forget(s *SourceLogs, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(s.Marks, id)
	f.changed()
}

// meet keeps the first error that is neither the end of the wait nor the
// absence of a container, for which a follow waits.
func (f *follower) meet(ctx context.Context, err error) {
	if err == nil || fault.Is(err, fault.NotFound) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}
