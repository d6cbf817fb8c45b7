package edges

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/metacircular/mcp/internal/fleet"
)

// ErrNoUpstream is of a hostname that no container serves.
var ErrNoUpstream = errors.New("no container serves it")

// Get sends a request for a hostname to the first container that serves it, and returns
// the body of the answer. It waits while the hostname is held.
func (r *Router) Get(ctx context.Context, hostname string) (string, error) {
	upstream, err := r.begin(ctx, hostname)
	if err != nil {
		return "", err
	}
	defer r.end(upstream)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+upstream+"/", http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), err
}

// begin finds the container for a request, and counts the request.
func (r *Router) begin(ctx context.Context, hostname string) (upstream string, err error) {
	for {
		r.mu.Lock()
		route, changed := r.route(hostname), r.wait()
		if !route.Held {
			defer r.mu.Unlock()
			if len(route.Upstreams) == 0 {
				return "", ErrNoUpstream
			}
			r.active[route.Upstreams[0]]++
			return route.Upstreams[0], nil
		}
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("%s is held: %w", hostname, ctx.Err())
		}
	}
}

// end ends a request.
func (r *Router) end(upstream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active[upstream]--
	r.change()
}

// route is the first route of a hostname; mu is held.
func (r *Router) route(hostname string) fleet.EdgeRoute {
	for _, p := range r.published {
		for _, route := range p.Routes {
			if route.Endpoint.Hostname == hostname {
				return route
			}
		}
	}
	return fleet.EdgeRoute{}
}

// change wakes what waits; mu is held.
func (r *Router) change() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// wait returns a channel that is closed at the next change; mu is held.
func (r *Router) wait() <-chan struct{} {
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}
