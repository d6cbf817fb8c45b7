package role

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/metacircular/mcp/activities/onedge"
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
// be published a moment after the container has become healthy.
func reach(ctx context.Context, upstreams []string) onedge.ReachUpstreamsResult {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	var mu sync.Mutex
	result := onedge.ReachUpstreamsResult{Problems: map[string]string{}}
	var group sync.WaitGroup
	free := make(chan struct{}, reachAtOnce)
	for _, upstream := range upstreams {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			if err := dial(ctx, upstream); err != nil {
				mu.Lock()
				result.Problems[upstream] = err.Error()
				if silent(err) {
					result.Silent = append(result.Silent, upstream)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(result.Silent)
	return result
}

// silent reports whether a connection failed because no host answered.
func silent(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTDOWN)
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
