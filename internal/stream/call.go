package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/metacircular/mcp/internal/fault"
)

// Client is an operator's session with the door.
type Client struct{ session *yamux.Session }

// NewClient begins a session on a connection to the door. It ends, and every stream with
// it, when ctx does.
func NewClient(ctx context.Context, conn net.Conn) (*Client, error) {
	session, err := dialed(conn)
	if err != nil {
		return nil, err
	}
	closeWith(ctx, session)
	return &Client{session}, nil
}

// Close ends the session, and with it every stream.
func (c *Client) Close() { _ = c.session.Close() }

// Ended is closed when the session has ended.
func (c *Client) Ended() <-chan struct{} { return c.session.CloseChan() }

// Call opens a stream, and returns when the node has begun with what the header asks for.
// When ctx ends, the stream breaks off.
func (c *Client) Call(ctx context.Context, h Header) (*Call, error) {
	conn, err := c.session.Open()
	if err != nil {
		return nil, broken("the connection to the door", err)
	}
	call := &Call{
		conn: conn, reader: frameReader{from: fromNode, source: conn},
		credit: inputWindow, what: "the stream from " + h.from(),
	}
	call.changed = sync.NewCond(&call.mu)
	call.stop = context.AfterFunc(ctx, func() { call.Close() })
	_ = conn.SetDeadline(time.Now().Add(headerPatience + answerPatience))
	if err := writeHeader(conn, h); err != nil {
		call.Close()
		return nil, broken(call.what, err)
	}
	first, err := call.Next()
	switch {
	case err == nil && first.Kind == Failure:
		err = decodeFault(first.Data)
	case err == nil && first.Kind != Started:
		err = fault.New(fault.Invalid, "the node begins with a frame of the kind %d", first.Kind)
	}
	if err != nil {
		call.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return call, nil
}

// Call is an operator's end of a stream. Next is for one goroutine; others may send
// meanwhile.
type Call struct {
	conn   net.Conn
	reader frameReader
	what   string
	stop   func() bool
	done   sync.Once

	sending sync.Mutex // held while a frame is written
	buffer  []byte

	mu      sync.Mutex
	changed *sync.Cond
	credit  int // bytes of Input that may be sent
	closed  bool
}

// Next returns the next frame of the node. After an Exit or a Failure there is none. A
// stream that has broken off is Unavailable.
func (c *Call) Next() (Frame, error) {
	for {
		f, err := c.reader.next()
		if err != nil {
			late := errors.Is(err, yamux.ErrTimeout)
			if c.Close() && late {
				return f, fault.New(fault.Unavailable, "%s has not begun within %s", c.what, headerPatience+answerPatience)
			}
			return f, broken(c.what, err)
		}
		if f.Kind != Credit {
			return f, nil
		}
		c.grant(int(binary.BigEndian.Uint32(f.Data)))
	}
}

func (c *Call) grant(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.credit = min(c.credit+min(n, inputWindow), inputWindow)
	c.changed.Broadcast()
}

// take waits for room, and returns how many of n bytes may be sent now.
func (c *Call) take(n int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.credit == 0 && !c.closed {
		c.changed.Wait()
	}
	if c.closed {
		return 0, net.ErrClosed
	}
	n = min(n, c.credit, chunk)
	c.credit -= n
	return n, nil
}

// Write sends Input. It waits while the node has not used what was sent.
func (c *Call) Write(p []byte) (sent int, err error) {
	for sent < len(p) {
		n, err := c.take(len(p) - sent)
		if err != nil {
			return sent, err
		}
		if err := c.send(Input, p[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// CloseWrite says that no Input follows.
func (c *Call) CloseWrite() error { return c.send(InputEnd, nil) }

// Resize changes the size of the terminal.
func (c *Call) Resize(s Size) error { return c.send(Resize, encodeSize(s)) }

// Signal sends a signal to the command: "INT".
func (c *Call) Signal(name string) error { return c.send(Signal, []byte(name)) }

func (c *Call) send(kind Kind, data []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.buffer = encode(c.buffer[:0], kind, data)
	_, err := c.conn.Write(c.buffer)
	return err
}

// Close ends the stream, and reports whether it was open. The node ends what it did for
// it.
func (c *Call) Close() (was bool) {
	c.done.Do(func() {
		was = true
		c.mu.Lock()
		c.closed = true
		c.changed.Broadcast()
		c.mu.Unlock()
		if c.stop != nil {
			c.stop()
		}
		_ = c.conn.Close()
		_ = c.conn.SetReadDeadline(time.Now()) // whatever the other end does
	})
	return was
}

// Send sends all of in as Input, and says that nothing follows. It returns when it has,
// or when the stream has ended.
func (c *Call) Send(in io.Reader) error {
	buffer := make([]byte, chunk)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			if _, err := c.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return c.CloseWrite()
		}
		if err != nil {
			return err
		}
	}
}

// Receive writes what the node sends until the end, and returns the exit code. A Failure
// of the node is returned as the error.
func (c *Call) Receive(stdout, stderr io.Writer) (code int, err error) {
	defer c.Close()
	for {
		f, err := c.Next()
		if err != nil {
			return 0, err
		}
		switch f.Kind {
		case Output:
			_, err = stdout.Write(f.Data)
		case ErrorOutput:
			_, err = stderr.Write(f.Data)
		case Exit:
			return f.Code(), nil
		case Failure:
			return 0, decodeFault(f.Data)
		}
		if err != nil {
			return 0, err
		}
	}
}
