package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/accepted"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

const (
	// handshakeTime bounds the handshake of TLS.
	handshakeTime = 10 * time.Second
	// maxPending bounds the handshakes that are under way, and maxPendingOfOne those from one
	// address; maxStrangers the connections of mcp-join/1, and maxJoining the requests on them
	// that are being served: whoever reaches the port can cause them.
	maxPending, maxPendingOfOne, maxStrangers, maxJoining = 512, 128, 64, 16
	// acceptPause is the time until the next attempt after a failure to accept, such as a
	// lack of file descriptors.
	acceptPause = 100 * time.Millisecond
)

// caller is who is at the other end of a connection.
type caller struct {
	who  identity.Identity
	leaf *x509.Certificate
	// refused is why it is not served; nil if it is.
	refused error
}

// accept serves connections until the listener is closed.
func (d *Door) accept(ctx context.Context, l net.Listener, calls, refusals *accepted.Queue) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			d.log.Warn("a connection is not accepted", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(acceptPause):
				continue
			}
		}
		from := origin(conn.RemoteAddr())
		if !d.pending.enter(from) {
			d.counts.add("busy", "")
			_ = conn.Close()
			continue
		}
		d.serving.Go(func() { d.greet(ctx, conn, sync.OnceFunc(func() { d.pending.leave(from) }), calls, refusals) })
	}
}

// pending are the handshakes that are under way, by where they come from.
type pending struct {
	mu  sync.Mutex
	all int
	of  map[netip.Prefix]int
}

// enter counts one, unless there are too many.
func (p *pending) enter(from netip.Prefix) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxPending || p.of[from] >= maxPendingOfOne {
		return false
	}
	if p.of == nil {
		p.of = map[netip.Prefix]int{}
	}
	p.all++
	p.of[from]++
	return true
}

func (p *pending) leave(from netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.of[from]--; p.of[from] == 0 {
		delete(p.of, from)
	}
}

// origin returns the address that a connection comes from or, for IPv6, the network that one
// host has at its disposal.
func origin(a net.Addr) netip.Prefix {
	from, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	if from.Addr().Unmap().Is4() {
		bits = 32
	}
	prefix, _ := from.Addr().Unmap().WithZone("").Prefix(bits) // the bits are right
	return prefix
}

// greet makes the handshake, then calls shaken, and gives the connection to what serves its
// protocol.
func (d *Door) greet(ctx context.Context, plain net.Conn, shaken func(), calls, refusals *accepted.Queue) {
	conn := tls.Server(plain, d.tls())
	limited, cancel := context.WithTimeout(ctx, handshakeTime)
	err := conn.HandshakeContext(limited)
	cancel()
	shaken()
	if err != nil {
		d.counts.add("handshake", "")
		d.log.Debug("a handshake has failed", "from", plain.RemoteAddr().String(), "error", err)
		_ = plain.Close()
		return
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol == enrol.Protocol {
		select {
		case d.strangers <- struct{}{}:
			d.join(ctx, conn)
			<-d.strangers
		default:
			d.counts.add("busy", "")
			_ = plain.Close()
		}
		return
	}
	c := d.callerOf(state)
	var known *connection
	if c.refused == nil {
		known, c.refused = d.open.add(conn, c)
	}
	switch {
	case c.refused != nil:
		d.turnAway(conn, c, refusals)
	case state.NegotiatedProtocol == callProtocol:
		calls.Put(&served{conn, c, known})
	default:
		defer d.open.remove(known)
		defer func() { _ = conn.Close() }()
		if err := d.o.Streams.Serve(ctx, conn, c.who); err != nil && ctx.Err() == nil {
			d.log.Info("a session of streams has ended", "identity", c.who.String(), "error", err)
		}
	}
}

// turnAway sends a caller the reason why it is refused, unless many callers are.
func (d *Door) turnAway(conn *tls.Conn, c caller, refusals *accepted.Queue) {
	d.counts.add("refused", string(c.who.Role))
	known, err := d.refused.add(conn, c)
	if err != nil {
		_ = conn.NetConn().Close()
		return
	}
	d.log.Warn("a caller is refused", "identity", c.who.String(), "from", conn.RemoteAddr().String(), "reason", c.refused)
	if conn.ConnectionState().NegotiatedProtocol == callProtocol {
		time.AfterFunc(refusalTime, func() { _ = conn.Close() })
		refusals.Put(&served{conn, c, known})
		return
	}
	defer d.refused.remove(known)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(refusalTime))
	d.o.Streams.Refuse(conn, c.who, c.refused)
}

// callerOf returns who a connection is from, and whether it is served.
func (d *Door) callerOf(state tls.ConnectionState) caller {
	who, leaf, err := d.authorities.Load().Roots().Caller(state, d.o.Now())
	c := caller{who: who, leaf: leaf, refused: explained(err)}
	if c.refused == nil && d.revoked.has(who.ID) {
		c.refused = revokedError(who)
	}
	return c
}

func revokedError(who identity.Identity) error {
	return fault.New(fault.Unauthorized, "the identity %s is revoked", who).
		WithHint("an operator can create it anew: mcp identity create %s %s", who.Role, who.Name)
}

// explained gives a kind and a hint to the error of a certificate that is not valid now.
func explained(err error) error {
	var outside *identity.OutOfTime
	if !errors.As(err, &outside) {
		return err
	}
	if outside.Now.Before(outside.From) {
		return fault.Wrap(fault.Unauthorized, err, "the gateway's clock, or that of another gateway, is wrong").
			WithHint("set the clocks of the gateways: timedatectl set-ntp true")
	}
	return fault.Wrap(fault.Unauthorized, err, "the certificate was not renewed in time").
		WithHint("join again with a new token, which an operator creates: mcp identity create")
}
