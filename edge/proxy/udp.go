package proxy

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// packetMost is the size of the largest packet.
const packetMost = 64 << 10

// Packets serves the packets that c receives on a route's port, until ctx ends or c
// fails; it closes c. The packets of one client, and the answers to them, are a
// session with one upstream.
func (p *Proxy) Packets(ctx context.Context, port int, c net.PacketConn) error {
	s := &sessions{proxy: p, port: port, conn: c, byClient: map[netip.AddrPort]*session{}}
	defer s.closeAll()
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	buffer := make([]byte, packetMost)
	for {
		n, from, err := c.ReadFrom(buffer)
		switch {
		case err == nil:
			s.packet(ctx, from, buffer[:n])
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, net.ErrClosed):
			return err
		}
		// Any other error is of one packet, such as an ICMP message about an answer.
	}
}

// sessions are those of one port.
type sessions struct {
	proxy *Proxy
	port  int
	conn  net.PacketConn

	mu       sync.Mutex
	byClient map[netip.AddrPort]*session
	recent   list.List // of *session, the one with the newest packet first
}

// session is the exchange of packets with one client.
type session struct {
	all      *sessions
	from     net.Addr
	client   netip.AddrPort
	route    *route
	upstream *upstream
	conn     *net.UDPConn
	element  *list.Element
	begun    time.Time
	last     atomic.Int64 // when it had a packet, in nanoseconds since 1970
	sent     atomic.Int64 // bytes to the client
	received atomic.Int64
	once     sync.Once
}

// packet sends a packet to the upstream of its client's session. Packets that have no
// route are dropped.
func (s *sessions) packet(ctx context.Context, from net.Addr, data []byte) {
	client := portOf(from)
	s.mu.Lock()
	found := s.byClient[client]
	if found != nil {
		s.recent.MoveToFront(found.element)
	}
	s.mu.Unlock()
	if found == nil {
		if found = s.open(ctx, from, client); found == nil {
			return
		}
	}
	found.last.Store(time.Now().UnixNano())
	if _, err := found.conn.Write(data); err != nil {
		_ = found.Close() // the upstream refuses: the client's next packet finds another one
		return
	}
	found.received.Add(int64(len(data)))
}

// udpSeeker finds the route of a client's packets.
type udpSeeker struct {
	port   int
	client netip.Addr
}

var errHeldPackets = errors.New("the route is held, and packets do not wait")

func (u udpSeeker) seek(s *snapshot) (*route, error) {
	r := s.of(s.table.UDP(u.port))
	switch {
	case r == nil:
		return nil, errNoRoute
	case !r.Allows(u.client):
		return nil, errNotAllowed
	case r.Maintenance:
		return nil, errMaintenance
	case r.Held:
		return nil, errHeldPackets
	}
	return r, nil
}

// open begins the session of a client; nil if it has no upstream.
func (s *sessions) open(ctx context.Context, from net.Addr, client netip.AddrPort) *session {
	t := turn{proxy: s.proxy, seeker: udpSeeker{s.port, client.Addr()}}
	u, err := t.next(ctx)
	if err != nil {
		s.proxy.unrouted.connections.Add(1)
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", u.address)
	if err != nil {
		u.end()
		return nil
	}
	opened := &session{all: s, from: from, client: client, route: t.route, upstream: u, conn: conn.(*net.UDPConn), begun: time.Now()}
	opened.last.Store(opened.begun.UnixNano())
	t.route.counters.connections.Add(1)
	t.route.counters.open.Add(1)

	s.mu.Lock()
	var oldest *session
	if len(s.byClient) >= s.proxy.options.SessionMost {
		oldest = s.recent.Back().Value.(*session)
	}
	s.byClient[client], opened.element = opened, s.recent.PushFront(opened)
	s.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
	go opened.answers(u.stream(opened))
	return opened
}

// answers sends what the upstream answers to the client, until the session ends or has
// had no packet for a while.
func (s *session) answers(done func()) {
	defer done()
	defer func() { _ = s.Close() }()
	idle := s.all.proxy.options.SessionIdle
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return
	}
	for {
		until := time.Unix(0, s.last.Load()).Add(idle)
		_ = s.conn.SetReadDeadline(until)
		if err := s.answer(raw); err != nil {
			if time.Unix(0, s.last.Load()).Add(idle).After(until) && errors.Is(err, os.ErrDeadlineExceeded) {
				continue // there was a packet meanwhile
			}
			return
		}
	}
}

// answer sends one packet of the upstream to the client. The buffer is taken when there is one, as
// most sessions wait.
func (s *session) answer(raw syscall.RawConn) error {
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		buffer := packetPool.Get().(*[packetMost]byte)
		defer packetPool.Put(buffer)
		n, err := syscall.Read(int(fd), buffer[:])
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		if failed = err; err != nil {
			return true
		}
		s.last.Store(time.Now().UnixNano())
		if n, err = s.all.conn.WriteTo(buffer[:n], s.from); err == nil {
			s.sent.Add(int64(n))
		}
		return true
	})
	return errors.Join(err, failed)
}

var packetPool = sync.Pool{New: func() any { return new([packetMost]byte) }}

// Close ends the session.
func (s *session) Close() error {
	var err error
	s.once.Do(func() {
		err = s.conn.Close()
		s.all.mu.Lock()
		if s.all.byClient[s.client] == s {
			delete(s.all.byClient, s.client)
		}
		s.all.recent.Remove(s.element)
		s.all.mu.Unlock()
		s.upstream.end()
		s.route.counters.open.Add(-1)
		s.route.counters.bytes.Add(uint64(s.sent.Load()))
		if access := s.all.proxy.options.Access; access != nil {
			ended := Access{
				Begun: s.begun, Duration: time.Since(s.begun), Protocol: fleet.ProtocolUDP, Port: s.all.port,
				Bytes: s.sent.Load(), Received: s.received.Load(), Client: s.client.Addr(), Upstream: s.upstream.address,
			}
			ended.found(s.route)
			access(ended)
		}
	})
	return err
}

func (s *sessions) closeAll() {
	s.mu.Lock()
	all := make([]*session, 0, len(s.byClient))
	for _, one := range s.byClient {
		all = append(all, one)
	}
	s.mu.Unlock()
	for _, one := range all {
		_ = one.Close()
	}
}
