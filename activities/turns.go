package activities

import (
	"context"
	"sync"
)

// ParallelStarts is how many containers a node makes and starts at once.
// Podman does one after another anyway, and asked for a hundred it has no time
// left for what else it is asked.
const ParallelStarts = 8

// Turns has those who do the same thing at the same time wait for one another.
type Turns struct {
	mu    sync.Mutex
	lines map[string]*line
}

// line is those who do one thing, or wait until they may.
type line struct {
	slots   chan struct{}
	waiting int // and doing
}

// NewTurns returns turns that nobody has taken.
func NewTurns() *Turns { return &Turns{lines: map[string]*line{}} }

// take waits until fewer than most do the thing, and reports it if that is not
// so now; done is called after it. It fails when ctx ends first.
func (t *Turns) take(ctx context.Context, r *reporter, thing string, most int) (done func(), err error) {
	l := t.enter(thing, most)
	done = func() {
		<-l.slots
		t.leave(thing, l)
	}
	select {
	case l.slots <- struct{}{}:
		return done, nil
	default:
	}
	r.set("wait", "for a turn to "+thing)
	select {
	case l.slots <- struct{}{}:
		return done, nil
	case <-ctx.Done():
		t.leave(thing, l)
		return nil, ctx.Err()
	}
}

func (t *Turns) enter(thing string, most int) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[thing]
	if l == nil {
		l = &line{slots: make(chan struct{}, most)}
		t.lines[thing] = l
	}
	l.waiting++
	return l
}

// leave forgets the line with the last in it.
func (t *Turns) leave(thing string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.waiting--; l.waiting == 0 {
		delete(t.lines, thing)
	}
}
