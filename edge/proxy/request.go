package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// outgoing is the request to the container, and the state of its round trip.
type outgoing struct {
	url   url.URL
	trace httptrace.ClientTrace

	mu   sync.Mutex
	over bool // the round trip has ended: the answer is the exchange's
}

// request makes what the container receives.
func (e *exchange) request(u *upstream) *http.Request {
	route := e.turn.route
	e.out.over = false
	e.out.trace.Got1xxResponse = e.informed
	out := e.in.WithContext(httptrace.WithClientTrace(e.in.Context(), &e.out.trace))
	e.out.url = url.URL{
		Scheme: "http", Host: u.address,
		Path: e.in.URL.Path, RawPath: e.in.URL.RawPath,
		RawQuery: e.in.URL.RawQuery, ForceQuery: e.in.URL.ForceQuery,
	}
	if route.Strip {
		strip(&e.out.url, route.Endpoint.Path)
	}
	out.URL = &e.out.url
	out.Close = false
	out.TransferEncoding = nil
	out.Header = e.headers(route)
	out.Trailer = nil
	e.body, out.Body = nil, nil
	if e.in.ContentLength != 0 {
		e.body = &body{in: e.in, client: &e.control, idle: e.turn.proxy.options.ClientIdle}
		out.Trailer = e.body.declare()
		out.Body = e.body
		if e.in.ProtoMajor == 1 {
			_ = e.body.client.EnableFullDuplex() // an early answer does not wait for the body
			e.body.timed = true
		}
		// A stream of HTTP/2 without a length, such as gRPC's, may pause for long.
		e.body.timed = e.body.timed || e.in.ContentLength > 0
	}
	return out
}

func (o *outgoing) roundTrip(t *http.Transport, r *http.Request) (*http.Response, error) {
	response, err := t.RoundTrip(r)
	o.mu.Lock()
	o.over = true
	o.mu.Unlock()
	return response, err
}

// informed passes an informational answer on, such as 103 Early Hints. The server
// itself says 100 Continue when the body is read.
func (e *exchange) informed(code int, header textproto.MIMEHeader) error {
	if code == http.StatusContinue || !e.in.ProtoAtLeast(1, 1) {
		return nil
	}
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	if e.out.over {
		return nil
	}
	h := e.w.Header()
	former := h.Clone()
	for name, values := range header {
		if !hopByHop(name) {
			h[name] = values
		}
	}
	e.w.WriteHeader(code)
	clear(h)
	for name, values := range former {
		h[name] = values
	}
	return nil
}

// strip removes the decoded prefix from a path, however the path encodes it.
func strip(u *url.URL, prefix string) {
	if prefix == "" {
		return
	}
	u.Path = rooted(strings.TrimPrefix(u.Path, prefix))
	if u.RawPath == "" {
		return
	}
	raw := u.RawPath
	for range len(prefix) {
		if raw[0] == '%' {
			raw = raw[3:]
		} else {
			raw = raw[1:]
		}
	}
	u.RawPath = rooted(raw)
}

func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// body is the body of a request on its way to an upstream. The server closes the
// client's body: a connection that fails must not.
type body struct {
	in     *http.Request
	client *http.ResponseController
	idle   time.Duration
	timed  bool // a pause of the client ends it

	trailer  http.Header // what the upstream receives after it
	deadline time.Time   // as it was set last
	read     atomic.Bool
	bytes    atomic.Int64
	ended    atomic.Bool           // it was read to its end
	err      atomic.Pointer[error] // why the client's body could not be read

	mu      sync.Mutex // held while the deadline is set
	stopped bool       // the handler returns
}

var errStopped = errors.New("the request has ended")

func (b *body) Read(data []byte) (int, error) {
	if !b.extend() {
		return 0, errStopped
	}
	b.read.Store(true)
	n, err := b.in.Body.Read(data)
	b.bytes.Add(int64(n))
	if err == nil {
		return n, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stopped:
	case err == io.EOF:
		b.ended.Store(true)
		b.settle()
		for name := range b.trailer {
			b.trailer[name] = b.in.Trailer[name]
		}
	default:
		b.err.Store(&err)
	}
	return n, err
}

// Close does not close the client's body.
func (b *body) Close() error { return nil }

// extend gives the client time to send more. It reports false if the handler returns.
func (b *body) extend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	if now := time.Now(); b.timed && b.deadline.Sub(now) < b.idle*7/8 {
		b.deadline = now.Add(b.idle)
		_ = b.client.SetReadDeadline(b.deadline)
	}
	return true
}

// settle removes the deadline: the server goes on reading, to notice when the client
// leaves.
func (b *body) settle() {
	if b.timed {
		_ = b.client.SetReadDeadline(time.Time{})
	}
}

// stop ends the reading of the body, which a transport continues after the round trip.
func (b *body) stop() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.ended.Load() {
		b.settle()
	} else if b.in.ProtoMajor == 1 {
		_ = b.client.SetReadDeadline(time.Now().Add(b.idle)) // the server discards the rest
	}
}

func (b *body) began() bool { return b != nil && b.read.Load() }

// size returns how many bytes of the body were read.
func (b *body) size() int64 {
	if b == nil {
		return 0
	}
	return b.bytes.Load()
}

// unfinished reports whether the end of the body was not seen. The connection must not
// serve another request then: net/http does not look for the end of a body that is
// read and answered at once.
func (b *body) unfinished() bool { return b != nil && !b.ended.Load() }

func (b *body) failed() error {
	if b == nil || b.err.Load() == nil {
		return nil
	}
	return *b.err.Load()
}

// declare returns the trailers that the client has announced, and that it may set.
func (b *body) declare() http.Header {
	for name := range b.in.Trailer {
		if reserved(name) || hopByHop(name) {
			continue
		}
		if b.trailer == nil {
			b.trailer = http.Header{}
		}
		b.trailer[name] = nil
	}
	return b.trailer
}
