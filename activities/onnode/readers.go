package onnode

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

const (
	// readerLease is how long a reader of output that is to come back may be away: a
	// follow is one read after another.
	readerLease = 5 * time.Second
	// lastWordsWait is how long the removal of a container waits at most until its
	// readers have its last lines.
	lastWordsWait = 12 * time.Second
)

// readers are the follows of output on a node. A container that has ended is removed
// only when they have read its last lines, or do not within a short time. The zero value
// has none.
type readers struct {
	mu sync.Mutex
	// of are the readers by the id of a container, and by the real name of those that
	// they have not found yet.
	of map[string]*reading
	// changed is closed, and replaced, with each change.
	changed chan struct{}
}

// reading is what reads the output of one container, or waits for those of one name.
type reading struct {
	active int
	// until is when the readers that have left are not expected any more.
	until time.Time
	// ended is the start of the container's run whose output has all been read, the last
	// that has ended.
	ended time.Time
}

// enter records a reader of a container's id, or of a real name. Leave ends that;
// back reports whether the reader is expected again.
func (r *readers) enter(key string) (leave func(back bool)) {
	r.change(key, func(reading *reading) { reading.active++ })
	return func(back bool) {
		r.change(key, func(reading *reading) {
			reading.active--
			if back {
				reading.until = time.Now().Add(readerLease)
			}
		})
	}
}

// end records that all output of a container has been read whose last run began then,
// and has ended.
func (r *readers) end(id string, started time.Time) {
	r.change(id, func(reading *reading) { reading.ended = started })
}

func (r *readers) change(key string, do func(*reading)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of, r.changed = map[string]*reading{}, make(chan struct{})
	}
	if r.of[key] == nil {
		r.of[key] = &reading{}
	}
	do(r.of[key])
	for other, reading := range r.of {
		if !reading.expected() {
			delete(r.of, other)
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// expected reports whether there is a reader, or one that comes back.
func (r *reading) expected() bool { return r.active > 0 || time.Now().Before(r.until) }

// lastWords waits, for a bounded time, until the readers of a container that has ended
// have read all of its output.
func (r *readers) lastWords(ctx context.Context, engine runtime.Runtime, name string) {
	if missing, _ := r.missing(runtime.ContainerInfo{}); !missing {
		return
	}
	info, err := engine.Inspect(ctx, name)
	if err != nil || info.State != runtime.Stopped {
		return
	}
	attempt.Allow(ctx, lastWordsWait)
	bounded, cancel := context.WithTimeout(ctx, lastWordsWait)
	defer cancel()
	for bounded.Err() == nil {
		missing, changed := r.missing(info)
		if !missing {
			return
		}
		select {
		case <-bounded.Done():
		case <-changed:
		case <-time.After(readerLease / 25): // a lease may have ended
		}
	}
}

// missing reports whether a reader has not read all of a container's output, and
// returns a channel that is closed when that may have changed. For no container, it
// reports whether there is a reader at all.
func (r *readers) missing(c runtime.ContainerInfo) (bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.ID == "" {
		return len(r.of) > 0, r.changed
	}
	byID := r.of[c.ID]
	switch {
	case byID != nil:
		return !byID.ended.Equal(c.Started) && byID.expected(), r.changed
	case strings.HasSuffix(c.Name, fleet.PrevSuffix):
		return false, r.changed // found by its id alone
	}
	byName := r.of[fleet.RealName(c.Name)]
	return byName != nil && byName.expected(), r.changed
}
