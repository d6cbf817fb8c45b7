package proxy

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// ejection is how long an upstream that refused a connection is tried last.
	ejection = 2 * time.Second
	// dialTime bounds one connection to an upstream.
	dialTime = 3 * time.Second
)

// upstream is one address. It is kept while it is published or in use.
type upstream struct {
	address string
	set     *upstreams
	http1   *http.Transport
	http2   atomic.Pointer[http.Transport] // with prior knowledge; nil before the first request

	// active is how many requests, connections and sessions it has.
	active atomic.Int64
	// failed is when it last refused a connection, in nanoseconds since 1970; 0 if it
	// has accepted one since.
	failed    atomic.Int64
	published atomic.Bool
	dials     atomic.Int64

	mu sync.Mutex
	// idle is closed, and replaced, each time that active becomes 0.
	idle chan struct{}
	// streams are the upgraded connections, l4 connections and sessions, which Cut closes.
	streams map[io.Closer]struct{}
}

// begin counts a request or a connection; the caller calls end once.
func (u *upstream) begin() { u.active.Add(1) }

func (u *upstream) end() {
	if u.active.Add(-1) > 0 {
		return
	}
	u.mu.Lock()
	if u.idle != nil {
		close(u.idle)
		u.idle = nil
	}
	u.mu.Unlock()
	if !u.published.Load() {
		u.set.forget(u)
	}
}

// wait returns when the upstream has no request and no connection, or with the error
// of ctx.
func (u *upstream) wait(ctx context.Context) error {
	for {
		u.mu.Lock()
		if u.idle == nil {
			u.idle = make(chan struct{})
		}
		idle := u.idle
		u.mu.Unlock()
		if u.active.Load() <= 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stream registers what Cut closes; the caller calls done when it is closed.
func (u *upstream) stream(c io.Closer) (done func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.streams == nil {
		u.streams = map[io.Closer]struct{}{}
	}
	u.streams[c] = struct{}{}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.streams, c)
	}
}

func (u *upstream) cut() {
	u.mu.Lock()
	streams := make([]io.Closer, 0, len(u.streams))
	for c := range u.streams {
		streams = append(streams, c)
	}
	u.mu.Unlock()
	for _, c := range streams {
		_ = c.Close()
	}
}

// dial connects to the upstream, and notes whether that succeeded.
func (u *upstream) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	u.dials.Add(1)
	dialer := net.Dialer{
		Timeout:         dialTime,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	c, err := dialer.DialContext(ctx, network, u.address)
	switch {
	case err == nil:
		u.answered()
	case ctx.Err() == nil:
		u.failed.Store(time.Now().UnixNano())
	}
	return c, err
}

// answered notes that the upstream is there.
func (u *upstream) answered() {
	if u.failed.Load() != 0 {
		u.failed.Store(0)
	}
}

// ejected reports whether the upstream refused a connection a moment ago.
func (u *upstream) ejected() bool {
	at := u.failed.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < ejection
}

// try renews the time of a failure, so that other requests pass over the upstream while one
// finds out for all whether it accepts connections again.
func (u *upstream) try() {
	if at := u.failed.Load(); at != 0 {
		u.failed.CompareAndSwap(at, time.Now().UnixNano())
	}
}

// choose returns the upstream that has the fewest requests of those that were not
// tried, one that refused a connection a moment ago last; nil if all were tried.
func choose(all, tried []*upstream) *upstream {
	var best, last *upstream
	if len(all) == 0 {
		return nil
	}
	first := 0
	if len(all) > 1 {
		first = rand.IntN(len(all))
	}
	for i := range all {
		u := all[(first+i)%len(all)]
		switch {
		case slices.Contains(tried, u):
		case len(all) > 1 && u.ejected():
			last = u
		case best == nil || u.active.Load() < best.active.Load():
			best = u
		}
	}
	if best == nil {
		return last
	}
	best.try()
	return best
}

// upstreams are those that are published or in use, by address.
type upstreams struct {
	mu    sync.Mutex
	known map[string]*upstream
}

// publish returns the upstreams of the addresses, by address.
func (s *upstreams) publish(addresses []string) map[string]*upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	published := make(map[string]*upstream, len(addresses))
	for _, address := range addresses {
		u := s.known[address]
		if u == nil {
			u = &upstream{address: address, set: s}
			u.http1 = newTransport(u)
			s.known[address] = u
		}
		u.published.Store(true)
		published[address] = u
	}
	return published
}

// retire marks all upstreams but the published ones, and forgets those. It is called
// when requests do not see them any more: one that has chosen one of them has begun it.
func (s *upstreams) retire(published map[string]*upstream) {
	for _, u := range s.all() {
		if published[u.address] == nil {
			u.published.Store(false)
			s.forget(u)
		}
	}
}

// forget closes the idle connections of an upstream that is not published, and drops
// it if it is not in use.
func (s *upstreams) forget(u *upstream) {
	u.http1.CloseIdleConnections()
	if t := u.http2.Load(); t != nil {
		t.CloseIdleConnections()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[u.address] == u && !u.published.Load() && u.active.Load() <= 0 {
		delete(s.known, u.address)
	}
}

func (s *upstreams) get(address string) *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[address]
}

func (s *upstreams) all() []*upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*upstream, 0, len(s.known))
	for _, u := range s.known {
		all = append(all, u)
	}
	return all
}
