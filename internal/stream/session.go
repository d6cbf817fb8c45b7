package stream

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/metacircular/mcp/internal/fault"
)

// Protocol is the name by which TLS selects streams (ALPN).
const Protocol = "mcp-stream/1"

const (
	// window is how many unread bytes of a stream a receiver keeps: the least that
	// yamux allows.
	window = 256 << 10
	// beat is how often the ends of a connection probe each other, and patience how
	// long one of them may take to answer, or to take bytes.
	beat, patience = 10 * time.Second, 20 * time.Second
	// headerPatience is how long a stream may be without a header.
	headerPatience = 15 * time.Second
	// answerPatience is how long the node may take to begin.
	answerPatience = time.Minute
)

func settings() *yamux.Config {
	c := yamux.DefaultConfig()
	c.MaxStreamWindowSize = window
	c.KeepAliveInterval, c.ConnectionWriteTimeout = beat, patience
	c.StreamOpenTimeout = patience
	c.StreamCloseTimeout = 0                                // the last bytes wait for a reader that is slow
	c.LogOutput, c.Logger = nil, log.New(io.Discard, "", 0) // its errors are those of the streams
	return c
}

// dialed returns the session of the end that has connected to the door, and answered
// that of the door.
func dialed(conn net.Conn) (*yamux.Session, error)   { return yamux.Client(conn, settings()) }
func answered(conn net.Conn) (*yamux.Session, error) { return yamux.Server(conn, settings()) }

// closeWith closes a session when ctx ends. The caller calls stop when it no longer
// needs that.
func closeWith(ctx context.Context, session *yamux.Session) (stop func()) {
	end := context.AfterFunc(ctx, func() { _ = session.Close() })
	return func() { end() }
}

// broken returns the error of a stream that has broken off: what was to come is
// missing.
func broken(what string, err error) *fault.Error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, yamux.ErrStreamClosed) || errors.Is(err, yamux.ErrSessionShutdown) || errors.Is(err, yamux.ErrTimeout) {
		return fault.New(fault.Unavailable, "%s broke off before its end", what)
	}
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return f
	}
	return fault.Wrap(fault.Unavailable, err, "%s broke off before its end", what)
}
