package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// dialTime bounds the connection to a door.
const dialTime = 4 * time.Second

// Dial connects to a door for streams. The configuration names Protocol.
func Dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
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
