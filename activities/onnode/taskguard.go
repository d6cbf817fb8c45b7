package onnode

import (
	"context"
	"slices"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
)

// taskGuards let one activity at a time change the container of a task, and none start a
// task that was stopped or removed: an attempt that Temporal has given up may still be at
// work. The zero value guards nothing yet.
type taskGuards struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // by the id of the task; closed when it is free
	// closed are the tasks that were stopped or removed, the latest last.
	closed []string
}

// closedTasks is how many tasks are remembered as closed: more than end while an attempt
// that was given up goes on.
const closedTasks = 1024

// enter waits until no other activity changes the task. Leave ends that. It fails when
// the task is closed, unless closing is set, which closes it.
func (g *taskGuards) enter(ctx context.Context, id string, closing bool) (leave func(), err error) {
	for {
		busy, err := g.admit(id, closing)
		if err != nil {
			return nil, err
		}
		if busy == nil {
			return func() { g.leave(id) }, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// admit begins a change of the task, or returns a channel that is closed before the next
// try.
func (g *taskGuards) admit(id string, closing bool) (busy <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	closed := slices.Contains(g.closed, id)
	switch {
	case closing && !closed:
		g.closed = append(g.closed, id)
		g.closed = g.closed[max(0, len(g.closed)-closedTasks):]
	case closed && !closing:
		return nil, fault.New(fault.Conflict, "task %s has been stopped", id)
	}
	if busy := g.busy[id]; busy != nil {
		return busy, nil
	}
	if g.busy == nil {
		g.busy = map[string]chan struct{}{}
	}
	g.busy[id] = make(chan struct{})
	return nil, nil
}

func (g *taskGuards) leave(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.busy[id])
	delete(g.busy, id)
}
