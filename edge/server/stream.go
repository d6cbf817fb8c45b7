package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/metacircular/mcp/internal/accepted"
)

// stream serves the tcp connections to one port.
type stream struct {
	server   *Server
	number   int // that of the routes
	listener *net.TCPListener
	accepted chan struct{} // closed when no connection is accepted any more

	tls      *tls.Config
	first    *http.Server // HTTP/1.1
	second   *http.Server // HTTP/2
	one, two *accepted.Queue
	draining atomic.Bool

	// conns counts the connections, and pending those for which it is not yet decided
	// what serves them.
	conns, pending sync.WaitGroup
	undecided      sync.Map // those that are pending
}

// newStream serves what the listener accepts.
func newStream(s *Server, number int, listener *net.TCPListener) *stream {
	p := &stream{
		server: s, number: number, listener: listener, accepted: make(chan struct{}),
		tls: s.certificates.config("h2", "http/1.1"),
		one: accepted.NewQueue(listener.Addr()), two: accepted.NewQueue(listener.Addr()),
	}
	handler := &handler{server: s, port: number, draining: &p.draining, next: s.options.Proxy.HTTP(number)}
	p.first, p.second = s.http1(handler), s.http2(handler)
	go func() { _ = p.first.Serve(p.one) }()
	go func() { _ = p.second.Serve(p.two) }()
	go p.accept()
	return p
}

// accept accepts connections until the listener is closed, or its deadline passes and
// none waits any more.
func (p *stream) accept() {
	defer close(p.accepted)
	for {
		c, err := p.listener.Accept()
		switch {
		case err == nil:
			p.conns.Add(1)
			p.pending.Add(1)
			go p.serve(c)
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		default: // such as too many open files
			p.server.log.Warn("a connection could not be accepted", "port", p.number, "error", err)
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// close stops accepting connections, after those that the kernel has already accepted.
// An open connection goes on, and ends as soon as its client expects it to.
func (p *stream) close() {
	p.draining.Store(true)
	_ = p.listener.SetDeadline(time.Now().Add(20 * time.Millisecond))
	<-p.accepted
	_ = p.listener.Close()
}

// drain waits until no connection is open, and closes those that are when ctx ends. It
// is called after close.
func (p *stream) drain(ctx context.Context) {
	go func() {
		p.pending.Wait()
		_ = p.second.Shutdown(ctx) // which sends GOAWAY
	}()
	ended := make(chan struct{})
	go func() { p.conns.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	_, _ = p.first.Close(), p.second.Close()
	_, _ = p.one.Close(), p.two.Close()
	for c := range p.undecided.Range {
		_ = c.(net.Conn).Close()
	}
}

// serve finds out what a connection is for, and has it served.
func (p *stream) serve(raw net.Conn) {
	c := &conn{Conn: raw, close: sync.OnceFunc(p.conns.Done)}
	p.undecided.Store(raw, nil)
	decided := sync.OnceFunc(func() {
		p.undecided.Delete(raw)
		p.pending.Done()
	})
	defer decided()
	limits := p.server.options.Limits
	if p.server.balanced(raw) {
		named := proxyproto.NewConn(raw, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(limits.Hello))
		if named.ProxyHeader() == nil {
			p.server.log.Warn("a connection from a balancer has no PROXY header", "port", p.number, "balancer", raw.RemoteAddr())
			_ = c.Close()
			return
		}
		c.Conn = named
	}
	v := p.server.view.Load().ports[p.number]
	if v == nil { // the last route has gone
		_ = c.Close()
		return
	}
	if v.waits() {
		decided()
		p.pass(c, "")
		return
	}
	wait := limits.Hello
	if v.bare() {
		wait = limits.Silence
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	switch err := c.peek(); {
	case err != nil && v.bare() && errors.Is(err, os.ErrDeadlineExceeded):
		decided()
		p.pass(c, "")
	case err != nil:
		_ = c.Close()
	case !c.secure() && (v.bare() || !v.http):
		decided()
		if v.bare() {
			p.pass(c, "")
			return
		}
		_ = c.Close()
	case !c.secure():
		_ = c.SetReadDeadline(time.Time{})
		if c.isHTTP2() {
			p.two.Put(c)
		} else {
			p.one.Put(c)
		}
	default:
		_ = c.SetReadDeadline(time.Now().Add(limits.Hello))
		if len(v.tcp) > 0 {
			if name := c.serverName(); v.passes(hostname(name)) {
				decided()
				p.pass(c, name)
				return
			}
		}
		if !v.http {
			_ = c.Close()
			return
		}
		p.handshake(c)
	}
}

// pass serves a connection by a tcp route.
func (p *stream) pass(c *conn, name string) {
	_ = c.SetReadDeadline(time.Time{})
	defer func() { _ = c.Close() }()
	if err := p.server.options.Proxy.Conn(p.server.life, p.number, name, c); err != nil {
		p.server.log.Debug("a connection was not served", "port", p.number, "server_name", name, "error", err)
	}
}

// handshake answers a TLS handshake, and has the requests that follow served.
func (p *stream) handshake(c *conn) {
	secured := tls.Server(c, p.tls)
	_ = c.SetDeadline(time.Now().Add(p.server.options.Limits.Hello))
	if err := secured.HandshakeContext(p.server.life); err != nil {
		p.server.log.Debug("a TLS handshake has failed", "port", p.number, "client", c.RemoteAddr(), "error", err)
		_ = c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	switch secured.ConnectionState().NegotiatedProtocol {
	case "h2":
		p.two.Put(secured)
	case "", "http/1.1":
		p.one.Put(secured)
	default: // the answer to a challenge, which is the handshake itself
		_ = secured.Close()
	}
}

// balanced reports whether a connection comes from a load balancer.
func (s *Server) balanced(c net.Conn) bool {
	if len(s.options.Balancers) == 0 {
		return false
	}
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return false
	}
	for _, network := range s.options.Balancers {
		if network.Contains(from.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
