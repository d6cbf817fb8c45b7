package onnode

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

const (
	// logPause is how often a follow checks whether a container has been created, or
	// runs again.
	logPause = 500 * time.Millisecond
	// logGather is how long a follow waits for more lines after the first, so that
	// lines that are printed at once do not take an answer each.
	logGather = 150 * time.Millisecond
	// endingPause is the time until a container that ends is inspected again.
	endingPause = 50 * time.Millisecond
)

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
	// caller is the context of the whole read: a read that is cancelled is not followed by
	// another.
	caller context.Context

	mu   sync.Mutex
	room int // bytes that the answer may still take
	some bool
	err  error // the first
	// names are those of containers, by their ids, when they were last seen.
	names map[string]string
	// prompt is set if the wait ends soon after a container has come or gone.
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
		full, first := false, true
		// What a container that has ended before it is read has printed is all of its output.
		before, err := f.engine.Inspect(ctx, id)
		if err == nil {
			err = f.engine.Logs(ctx, id, runtime.LogQuery{Since: mark.Time, Follow: true}, mark.After(func(line runtime.LogLine, lost bool) bool {
				f.lose(s, first && lost)
				first = false
				full = !f.add(ctx, s, id, line)
				return !full
			}))
		}
		if err == nil {
			over := before.State == runtime.Stopped && !full
			if over {
				f.readers.end(id, before.Started)
			}
			switch {
			case over && s.ends:
				f.ended(s)
				return
			case s.ends || before.State.Alive():
				_ = attempt.Sleep(ctx, endingPause) // the loop checks ctx
			default:
				err = f.untilStarted(ctx, before)
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

// untilStarted returns when a container has been started since before. It may have ended
// again.
func (f *follower) untilStarted(ctx context.Context, before runtime.ContainerInfo) error {
	for {
		info, err := f.engine.Inspect(ctx, before.ID)
		if err != nil || info.State.Alive() || !info.Started.Equal(before.Started) {
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

// ended records that a source has ended, which ends the wait.
func (f *follower) ended(s *SourceLogs) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Ended = true
	f.end()
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
