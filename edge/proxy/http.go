package proxy

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/metacircular/mcp/edge/table"
)

// HTTP returns the handler of the requests to a route's port. A request that came with
// TLS has its state in the field TLS.
func (p *Proxy) HTTP(port int) http.Handler { return &handler{p, port} }

type handler struct {
	proxy *Proxy
	port  int
}

func (h *handler) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	e := &exchange{w: w, in: in, port: h.port, begun: time.Now(), control: *http.NewResponseController(w)}
	e.turn.proxy, e.turn.seeker = h.proxy, e
	defer e.finish()
	if in.ProtoMajor == 1 { // the deadline of the answer before this one
		_ = e.control.SetWriteDeadline(time.Time{})
	}
	err := e.check()
	if err == nil {
		err = e.forward()
	}
	if err != nil {
		e.fail(err)
	}
}

// exchange is one request and its answer.
type exchange struct {
	turn  turn
	w     http.ResponseWriter
	in    *http.Request
	port  int
	begun time.Time
	// control sets the deadlines of w.
	control http.ResponseController

	host   string     // in the form that a table uses
	client netip.Addr // the zero Addr if it is unknown
	peer   string     // the address of the other end of the connection
	https  bool       // the client speaks TLS, with the edge or with a trusted proxy
	trust  bool       // the peer is a trusted proxy
	odd    bool       // servers may read the path in different ways

	out     outgoing
	sender  sender
	first   *route // that was found
	counted *counters
	body    *body
	reason  error // why no upstream has answered
	chosen  *upstream

	wrote    bool // the answer has begun
	status   int
	bytes    int64
	received int64 // once it was upgraded
	upgraded bool
}

// check refuses what no route could serve.
func (e *exchange) check() error {
	if m := e.in.Method; m == http.MethodConnect || m == http.MethodTrace {
		return &answer{status: http.StatusMethodNotAllowed}
	}
	var ok bool
	if e.host, ok = hostname(e.in.Host); !ok || e.in.URL.User != nil {
		return badHost
	}
	if path := e.in.URL.Path; path == "" || path[0] != '/' || strings.IndexByte(path, 0) >= 0 {
		return badPath
	}
	e.odd = odd(e.in.URL)
	if t := e.in.TLS; t != nil && t.ServerName != "" && t.ServerName != e.host && table.Hostname(t.ServerName) != e.host {
		return misdirected
	}
	e.identify()
	return nil
}

// seek finds the route of the request.
func (e *exchange) seek(s *snapshot) (*route, error) {
	found := e.lookup(s.table, e.in.URL.Path)
	if e.odd && ambiguous(e.in.URL, func(path string) bool { return e.lookup(s.table, path) == found }) {
		return nil, badPath
	}
	r := s.of(found)
	if r == nil {
		return nil, notFound
	}
	if e.counted == nil {
		e.counted, e.first = r.counters, r
		e.counted.open.Add(1)
	}
	switch {
	case !e.https && !r.Plain:
		return nil, e.redirect("https", r.Redirect, r.Endpoint.Port)
	case !r.Allows(e.client):
		return nil, forbidden
	case r.Redirect != "":
		return nil, e.redirect("", r.Redirect, e.port)
	}
	if err := e.admit(r); err != nil {
		return nil, err
	}
	if r.Maintenance {
		return nil, maintenance
	}
	return r, nil
}

// lookup finds the route of a path. Port 80 leads to https if a route there fits the
// hostname more closely than its own.
func (e *exchange) lookup(t *table.Table, path string) *table.Route {
	found, fit := t.HTTP(e.port, e.host, path)
	if e.port == 80 && e.in.TLS == nil {
		if other, otherFit := t.HTTP(443, e.host, path); other != nil && !other.Plain && otherFit > fit {
			return other
		}
	}
	return found
}

// forward sends the request to an upstream, and its answer to the client. An upstream
// that cannot be connected to has received nothing, so that another one is tried.
func (e *exchange) forward() error {
	for {
		u, err := e.turn.next(e.in.Context())
		if err != nil {
			return err
		}
		if again, err := e.attempt(u); !again {
			return err
		}
	}
}

// attempt sends the request to one upstream, and ends it there. It reports true if
// another one may be tried.
func (e *exchange) attempt(u *upstream) (again bool, err error) {
	defer u.end()
	e.chosen = u
	out := e.request(u)
	defer e.body.stop()
	response, err := e.out.roundTrip(u.transport(e.turn.route.H2C), out)
	switch {
	case err == nil:
		u.answered()
		return false, e.respond(response, u)
	case e.in.Context().Err() == nil && undelivered(err) && !e.body.began():
		e.turn.failed(u, err)
		return true, err
	}
	return false, err
}

// undelivered reports whether an upstream has received nothing of a request.
func undelivered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// newTransport returns the transport to an upstream, with enough idle connections that
// a busy one is not dialled again.
func newTransport(u *upstream) *http.Transport {
	return &http.Transport{
		DialContext:            u.dial,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        time.Minute,
		ExpectContinueTimeout:  time.Second,
		ResponseHeaderTimeout:  5 * time.Minute,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // the client says what it accepts
	}
}

// transport returns the transport for HTTP/1.1, or for HTTP/2 without TLS.
func (u *upstream) transport(h2c bool) *http.Transport {
	if !h2c {
		return u.http1
	}
	if t := u.http2.Load(); t != nil {
		return t
	}
	t := newTransport(u)
	t.Protocols = &http.Protocols{}
	t.Protocols.SetUnencryptedHTTP2(true)
	t.ResponseHeaderTimeout = 0 // a stream may have its first message late
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second}
	if u.http2.CompareAndSwap(nil, t) {
		return t
	}
	return u.http2.Load()
}

// fail answers a request that no upstream has answered. What failed is for the log: the
// page says nothing of the inside.
func (e *exchange) fail(err error) {
	var page *answer
	var timeout net.Error
	switch {
	case e.wrote:
		// Part of the answer was sent: the connection, or the stream, is cut.
		panic(http.ErrAbortHandler)
	case errors.As(err, &page):
	case errors.Is(e.body.failed(), os.ErrDeadlineExceeded):
		page = tooSlow
	case e.in.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client has gone
	case e.body.failed() != nil:
		page = badBody
	case errors.Is(err, errHeld):
		page = updating
	case errors.Is(err, errNoUpstream):
		page = stopped
	case errors.As(err, &timeout) && timeout.Timeout() && !undelivered(err):
		page = silent
		e.log(err)
	default:
		page = broken
		e.log(err)
	}
	if page == updating || page == stopped || page == silent || page == broken {
		e.reason = err
	}
	e.answer(page)
}

// log notes why an upstream did not answer, at most once a second for each service.
func (e *exchange) log(err error) {
	if now, last := time.Now().Unix(), e.counted.logged.Load(); now == last || !e.counted.logged.CompareAndSwap(last, now) {
		return
	}
	r := e.turn.route
	e.turn.proxy.options.Log.Warn("an upstream does not answer",
		"service", r.Service, "components", r.Components, "upstream", e.chosen.address, "error", err)
}

// finish counts the request.
func (e *exchange) finish() {
	p, took := e.turn.proxy, time.Since(e.begun)
	counted := p.unrouted
	if e.counted != nil {
		counted = e.counted
		counted.open.Add(-1)
	}
	counted.request(e.status, e.bytes)
	if !e.upgraded {
		counted.took(took)
	}
	if p.options.Access == nil {
		return
	}
	access := Access{
		Begun: e.begun, Duration: took, Protocol: e.in.Proto, Port: e.port,
		Method: e.in.Method, Host: e.in.Host, Path: e.in.URL.EscapedPath(), UserAgent: e.in.UserAgent(),
		Status: e.status, Bytes: e.bytes, Received: e.received + e.body.size(), Client: e.client, Err: e.reason,
	}
	access.found(e.first)
	if e.chosen != nil {
		access.Upstream = e.chosen.address
	}
	p.options.Access(access)
}
