package onnode

import (
	"context"
	"sync"

	"github.com/metacircular/mcp/activities/attempt"
)

// ParallelStarts is how many containers a node makes and starts at once.
// Podman makes one after another anyway, and given a hundred at once it is slow to
// answer other requests.
const ParallelStarts = 8

// Slots bound how many activities do the same thing at the same time.
type Slots struct {
	mu     sync.Mutex
	queues map[string]*slotQueue
}

// slotQueue is the slots of one thing, and how many activities use or await one.
type slotQueue struct {
	slots chan struct{}
	users int
}

// NewSlots returns slots that are all free.
func NewSlots() *Slots { return &Slots{queues: map[string]*slotQueue{}} }

// take waits for one of most slots for the thing, and reports that if none is free; the
// caller calls done to give it back. It is given back when ctx ends, too:
// the caller may hang. It fails when ctx ends first.
func (s *Slots) take(ctx context.Context, r *attempt.Reporter, thing string, most int) (done func(), err error) {
	q := s.enter(thing, most)
	giveBack := sync.OnceFunc(func() {
		<-q.slots
		s.leave(thing, q)
	})
	taken := func() func() {
		stop := context.AfterFunc(ctx, giveBack)
		return func() {
			stop()
			giveBack()
		}
	}
	select {
	case q.slots <- struct{}{}:
		return taken(), nil
	default:
	}
	r.Set("wait", "for a slot to "+thing)
	select {
	case q.slots <- struct{}{}:
		return taken(), nil
	case <-ctx.Done():
		s.leave(thing, q)
		return nil, ctx.Err()
	}
}

func (s *Slots) enter(thing string, most int) *slotQueue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[thing]
	if q == nil {
		q = &slotQueue{slots: make(chan struct{}, most)}
		s.queues[thing] = q
	}
	q.users++
	return q
}

// leave deletes the queue with its last user.
func (s *Slots) leave(thing string, q *slotQueue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(s.queues, thing)
	}
}
