package crash

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"time"
)

// engineProxy is the socket of a node's podman for all roles of mcp. It passes every
// call through, until one is to hang: that one is never answered, and its connection
// stays open.
type engineProxy struct {
	socket string
	server *http.Server
	closed chan struct{}

	mu    sync.Mutex
	count map[string]int // of calls since watch, by their kind
	seen  []point        // those calls, in order
	hang  *hang
}

// hang is a call that is never answered.
type hang struct {
	at point
	// begun is closed when the call has come, and over when its caller has given up.
	begun, over        chan struct{}
	beganAt, givenUpAt time.Time
}

func newHang(at point) *hang {
	return &hang{at: at, begun: make(chan struct{}), over: make(chan struct{})}
}

// newEngineProxy listens on a socket before podman's.
func newEngineProxy(socket, podman string) (*engineProxy, error) {
	p := &engineProxy{socket: socket, closed: make(chan struct{}), count: map[string]int{}}
	through := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "podman" },
		FlushInterval: -1,
		// One connection for each call, so that none outlives podman's service.
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(podman, "unix://"))
		}},
		// Where podman does not answer, neither does the proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := p.take(kindOfCall(r)); h != nil {
			p.swallow(h, r)
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(w, r)
	}), ErrorLog: log.New(io.Discard, "", 0)}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen before podman: %w", err)
	}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// take counts a call, and returns the hang if it is this one.
func (p *engineProxy) take(kind string) *hang {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[kind]++
	at := point{activity: kind, nth: p.count[kind], where: in}
	p.seen = append(p.seen, at)
	h := p.hang
	if h == nil || h.at != at {
		return nil
	}
	p.hang = nil
	return h
}

// swallow returns when the caller has given up. The body must be read, or the server
// does not see that.
func (p *engineProxy) swallow(h *hang, r *http.Request) {
	h.beganAt = time.Now()
	close(h.begun)
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
		h.givenUpAt = time.Now()
		close(h.over)
	case <-p.closed:
	}
}

// watch begins to count calls, and lets one of them hang; nil for none.
func (p *engineProxy) watch(h *hang) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.seen, p.hang = map[string]int{}, nil, h
}

// calls are those since watch, at most so many of each kind.
func (p *engineProxy) calls(most int) []point {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.seen), func(at point) bool { return at.nth > most })
}

func (p *engineProxy) close() {
	close(p.closed)
	_ = p.server.Close()
}

// kindOfCall is the method and the path of a call, without names and ids.
func kindOfCall(r *http.Request) string {
	_, path, found := strings.Cut(r.URL.EscapedPath(), "/libpod/")
	if !found {
		path = strings.TrimPrefix(r.URL.EscapedPath(), "/")
	}
	parts := strings.Split(path, "/")
	words := []string{"json", "create", "pull", "remove"}
	if len(parts) > 1 && (len(parts) > 2 || !slices.Contains(words, parts[1])) {
		parts[1] = "ID"
	}
	return r.Method + " /" + strings.Join(parts, "/")
}
