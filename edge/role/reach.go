package role

import (
	"context"
	"net"
	"sync"
	"time"
)

// Bounds of a connection to an upstream: of one attempt, of all of them, the time
// between two, and how many are made at once.
const (
	reachAttempt = time.Second
	reachTime    = 3 * time.Second
	reachPause   = 100 * time.Millisecond
	reachAtOnce  = 16
)

// reach connects to each upstream, several times if necessary: a container's port may
// be published a moment after the container has become healthy. It returns why that
// failed, by upstream.
func reach(ctx context.Context, upstreams []string) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	var mu sync.Mutex
	problems := map[string]string{}
	var group sync.WaitGroup
	free := make(chan struct{}, reachAtOnce)
	for _, upstream := range upstreams {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			if err := dial(ctx, upstream); err != nil {
				mu.Lock()
				problems[upstream] = err.Error()
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return problems
}

// dial connects to an upstream, until ctx ends.
func dial(ctx context.Context, upstream string) error {
	dialer := net.Dialer{Timeout: reachAttempt}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", upstream)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(reachPause):
		}
	}
}
