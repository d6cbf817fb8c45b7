package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

const (
	// handshakeTime bounds the handshake of TLS.
	handshakeTime = 10 * time.Second
	// maxPending bounds the handshakes that are under way, maxStrangers the connections of
	// mcp-join/1, and maxJoining the requests on them that are being served: whoever reaches
	// the port can cause them.
	maxPending, maxStrangers, maxJoining = 128, 64, 16
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
func (d *Door) accept(ctx context.Context, l net.Listener, calls, refusals *queue) {
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
		select {
		case d.pending <- struct{}{}:
			d.serving.Go(func() { d.greet(ctx, conn, calls, refusals) })
		default:
			d.counts.add("busy", "")
			_ = conn.Close()
		}
	}
}

// greet shakes hands and gives the connection to what serves its protocol.
func (d *Door) greet(ctx context.Context, plain net.Conn, calls, refusals *queue) {
	conn := tls.Server(plain, d.tls())
	limited, cancel := context.WithTimeout(ctx, handshakeTime)
	err := conn.HandshakeContext(limited)
	cancel()
	<-d.pending
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
	known, err := d.open.add(conn, c)
	if err != nil {
		c.refused = err
	}
	if c.refused != nil {
		d.counts.add("refused", string(c.who.Role))
		d.log.Warn("a caller is refused", "identity", c.who.String(), "from", plain.RemoteAddr().String(), "reason", c.refused)
	}
	switch {
	case state.NegotiatedProtocol == callProtocol && c.refused != nil:
		time.AfterFunc(refusalTime, func() { _ = conn.Close() })
		refusals.give(&served{conn, c, known})
	case state.NegotiatedProtocol == callProtocol:
		calls.give(&served{conn, c, known})
	case c.refused != nil:
		// A stream has no way to carry the reason: the client asks for it through the API.
		d.open.remove(known)
		_ = conn.Close()
	default:
		defer d.open.remove(known)
		defer func() { _ = conn.Close() }()
		if err := d.o.Streams.Serve(ctx, conn, c.who); err != nil && ctx.Err() == nil {
			d.log.Info("a session of streams has ended", "identity", c.who.String(), "error", err)
		}
	}
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

// explained gives the error of a certificate out of its time a kind, and what to do.
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
