package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// dialTime bounds a connection to a gateway, with the handshake.
const dialTime = 4 * time.Second

// Dial connects to a gateway for streams. The configuration is that of the caller's
// identity for Protocol.
func Dial(ctx context.Context, config *tls.Config, address string) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(limited, "tcp", address)
	if err != nil {
		return nil, err
	}
	if conn.(*tls.Conn).ConnectionState().NegotiatedProtocol != Protocol {
		_ = conn.Close()
		return nil, errors.New("it serves no streams")
	}
	return conn, nil
}
