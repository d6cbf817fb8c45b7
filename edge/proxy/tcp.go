package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Conn serves a connection that was accepted on a route's port, and closes it; a server
// name is that of its TLS handshake, "" without one. It returns when the connection has
// ended, or ctx has, with the reason if no upstream was connected to. Either side may end its
// direction alone if client has a method CloseWrite.
func (p *Proxy) Conn(ctx context.Context, port int, serverName string, client net.Conn) error {
	defer client.Close()
	c := &connection{port: port, name: serverName, client: client, address: addrOf(client.RemoteAddr())}
	c.turn = turn{proxy: p, seeker: c}
	begun := time.Now()
	counters := p.unrouted
	upstream, u, err := c.connect(ctx)
	if c.turn.route != nil {
		counters = c.turn.route.counters
	}
	counters.connections.Add(1)
	access := Access{Begun: begun, Protocol: fleet.ProtocolTCP, Port: port, Host: serverName, Client: c.address}
	access.found(c.turn.route)
	access.Err = err
	if err == nil {
		counters.open.Add(1)
		access.Upstream = u.address
		access.Received, access.Bytes = c.relay(ctx, upstream, u)
		counters.open.Add(-1)
		counters.bytes.Add(uint64(access.Bytes))
	}
	if p.options.Access != nil {
		access.Duration = time.Since(begun)
		p.options.Access(access)
	}
	return err
}

// connection is a tcp connection of a client.
type connection struct {
	turn    turn
	port    int
	name    string
	client  net.Conn
	address netip.Addr
}

var (
	errNotAllowed  = errors.New("the client is not allowed")
	errMaintenance = errors.New("the service is in maintenance")
)

func (c *connection) seek(s *snapshot) (*route, error) {
	r := s.of(s.table.TCP(c.port, c.name))
	switch {
	case r == nil:
		return nil, errNoRoute
	case !r.Allows(c.address):
		return nil, errNotAllowed
	case r.Maintenance:
		return nil, errMaintenance
	}
	return r, nil
}

// connect connects to an upstream, which the caller ends.
func (c *connection) connect(ctx context.Context) (net.Conn, *upstream, error) {
	for {
		u, err := c.turn.next(ctx)
		if err != nil {
			return nil, nil, err
		}
		conn, err := u.dial(ctx, "tcp", "")
		if err == nil {
			_, err = conn.Write(proxyHeader(c.turn.route.ProxyProtocol, c.client.RemoteAddr(), c.client.LocalAddr()))
			if err == nil {
				return conn, u, nil
			}
			conn.Close()
		}
		u.end()
		c.turn.failed(u, err)
	}
}

// relay copies both ways until both have ended, and returns how many bytes the client
// has sent, and was sent.
func (c *connection) relay(ctx context.Context, upstream net.Conn, u *upstream) (received, sent int64) {
	defer u.end()
	both := &pair{c.client, upstream}
	defer func() { _ = both.Close() }()
	defer u.stream(both)()
	defer context.AfterFunc(ctx, func() { _ = both.Close() })()
	return both.copy()
}

// pair is two connections, each of which receives what the other one sends.
type pair struct{ client, upstream io.ReadWriteCloser }

// Close closes both.
func (p *pair) Close() error {
	return errors.Join(p.client.Close(), p.upstream.Close())
}

// copy copies both ways until both have ended, or one has failed, and returns how many
// bytes the client has sent, and was sent.
func (p *pair) copy() (received, sent int64) {
	var both sync.WaitGroup
	both.Go(func() { received = p.direction(p.upstream, p.client) })
	both.Go(func() { sent = p.direction(p.client, p.upstream) })
	both.Wait()
	return received, sent
}

// direction copies one way, and ends it at its receiver.
func (p *pair) direction(to, from io.ReadWriteCloser) int64 {
	buffer := bufferPool.Get().(*[]byte)
	defer bufferPool.Put(buffer)
	n, err := io.CopyBuffer(to, from, *buffer)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_ = p.Close()
	}
	return n
}

// addrOf returns the address of a client without its port; the zero Addr if it has none.
func addrOf(a net.Addr) netip.Addr {
	return portOf(a).Addr()
}

func portOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case nil:
		return netip.AddrPort{}
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	}
	parsed, _ := netip.ParseAddrPort(a.String())
	return unmap(parsed)
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// bufferPool has the buffers that bodies and streams are copied with.
var bufferPool = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
