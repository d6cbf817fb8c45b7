package session

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/servicedef"
)

// Streams opens a session of streams with the first gateway that answers; nil if Temporal
// is reached without one.
func (s *Session) Streams(ctx context.Context, cfg *config.Config) (*stream.Client, error) {
	options, err := cfg.TemporalOptions()
	if err != nil || !config.ThroughDoor(options) {
		return nil, err
	}
	conn, err := dialFirst(ctx, cfg.Door)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, doorError(ctx, cfg, err)
	}
	return stream.NewClient(ctx, conn)
}

// headStart is how long a gateway has before the next one is tried as well.
const headStart = 300 * time.Millisecond

// dialFirst connects to the first gateway that answers: one that hangs delays no command
// if there is another.
func dialFirst(ctx context.Context, door config.Door) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		conn net.Conn
		err  error
	}
	answers := make(chan answer, len(door.Addresses))
	for i, address := range door.Addresses {
		go func() {
			select {
			case <-ctx.Done():
				answers <- answer{err: ctx.Err()}
			case <-time.After(time.Duration(i) * headStart):
				conn, err := DialStreams(ctx, door, address)
				answers <- answer{conn, err}
			}
		}()
	}
	var failed error
	var conn net.Conn
	for range door.Addresses {
		switch a := <-answers; {
		case a.err == nil && conn == nil:
			conn = a.conn
			cancel()
		case a.err == nil:
			_ = a.conn.Close()
		default:
			failed = cmp.Or(failed, a.err)
		}
	}
	if conn != nil {
		return conn, nil
	}
	return nil, failed
}

// StreamsMeanwhile opens a session of streams as Streams does, while the caller asks for
// what they are for: over a slow link each takes its time. Wait waits for the session, and
// end closes it, also one that is not open yet.
func (s *Session) StreamsMeanwhile(ctx context.Context, cfg *config.Config) (wait func() (*stream.Client, error), end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var client *stream.Client
	var err error
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		client, err = s.Streams(ctx, cfg)
	}()
	wait = func() (*stream.Client, error) {
		<-opened
		return client, err
	}
	end = func() {
		cancel()
		if client, _ := wait(); client != nil {
			client.Close()
		}
	}
	return wait, end
}

// DialStreams connects to one gateway for streams.
func DialStreams(ctx context.Context, door config.Door, address string) (net.Conn, error) {
	return stream.Dial(ctx, door.TLS(stream.Protocol), address)
}

// NoGateway returns the error of a verb that needs streams, if there is no gateway.
// Instead is the command for its node.
func NoGateway(verb, service, component, instead string) error {
	return fault.New(fault.Invalid, "%s goes through a gateway, and this configuration has none", verb).
		WithHint("on the node of the container, which mcp status %s shows: %s %s", service, instead, servicedef.ContainerNameFor(service, component))
}
