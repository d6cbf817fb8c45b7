package proxy

import (
	"context"
	"errors"
	"slices"
	"time"
)

// seeker finds the route of a request or a connection in a snapshot, or returns why it
// is refused.
type seeker interface {
	seek(*snapshot) (*route, error)
}

// turn is the way of one request or connection to an upstream.
type turn struct {
	proxy    *Proxy
	seeker   seeker
	snapshot *snapshot
	route    *route
	tried    []*upstream
	err      error     // of the last upstream
	held     time.Time // when its hold ends; zero if it was not held
}

var (
	errNoRoute    = errors.New("no route")
	errNoUpstream = errors.New("the route has no upstream")
	errHeld       = errors.New("the route is held")
)

// next chooses an upstream that was not tried, and begins it; the caller ends it. It
// waits while the route is held.
//
// An upstream is begun before the snapshot is compared with the current one, and
// retired after the current one was swapped: Drain sees every request that it must
// wait for.
func (t *turn) next(ctx context.Context) (*upstream, error) {
	for {
		if current := t.proxy.current.Load(); current != t.snapshot {
			r, err := t.seeker.seek(current)
			if err != nil {
				return nil, err
			}
			t.snapshot, t.route = current, r
		}
		if t.route.Held {
			if err := t.hold(ctx); err != nil {
				return nil, err
			}
			continue
		}
		u := choose(t.route.upstreams, t.tried)
		if u == nil {
			if t.err == nil {
				t.err = errNoUpstream
			}
			return nil, t.err
		}
		u.begin()
		if t.proxy.current.Load() == t.snapshot {
			return u, nil
		}
		u.end()
	}
}

// failed notes that an upstream could not be connected to.
func (t *turn) failed(u *upstream, err error) {
	t.tried, t.err = append(slices.Clip(t.tried), u), err
}
