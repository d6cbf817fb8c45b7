package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// ErrGone is the cause with which the context of a stream ends when its operator does not
// wait for it any more.
var ErrGone = errors.New("the operator has gone, or the connection to the door is broken")

// Accepted is a node's end of a stream.
type Accepted struct {
	Header Header
	// Resizes has the newest size of the terminal, and Signals the signals for the
	// command; those that are not taken are lost.
	Resizes chan Size
	Signals chan string

	conn   net.Conn
	input  inputBuffer
	cancel context.CancelCauseFunc

	sending sync.Mutex // held while a frame is written
	buffer  []byte
	started bool
}

// Handler serves one stream of a node. It returns an exit code or an error, which end it.
type Handler func(ctx context.Context, a *Accepted) (code int, err error)

// serve serves one stream that the door has opened.
func serve(ctx context.Context, conn net.Conn, server string, handle Handler) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(headerPatience))
	h, err := readHeader(conn)
	_ = conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &Accepted{Header: h, Resizes: make(chan Size, 1), Signals: make(chan string, 8), conn: conn, cancel: cancel}
	a.input.init(a)
	if err == nil && h.server() != server {
		err = fault.New(fault.Invalid, "the stream is for %s, and this is %s", h.from(), strings.Replace(server, "/", " ", 1))
	}
	code := 0
	if err == nil {
		stop := context.AfterFunc(ctx, func() { a.input.end(context.Cause(ctx)) })
		defer stop()
		go a.receive()
		code, err = handle(ctx, a)
	}
	if err != nil {
		_ = a.send(Failure, encodeFault(fault.Of(err)))
		return
	}
	if err := a.Start(); err == nil {
		_ = a.send(Exit, number(code))
	}
}

// receive takes what the operator sends, until it is gone.
func (a *Accepted) receive() {
	reader := frameReader{from: fromOperator, source: a.conn}
	for {
		f, err := reader.next()
		if err == nil {
			err = a.take(f)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrGone
		}
		if err != nil {
			a.input.end(err)
			a.cancel(err)
			_ = a.conn.Close() // a write that waits for room ends
			return
		}
	}
}

func (a *Accepted) take(f Frame) error {
	switch f.Kind {
	case Input:
		return a.input.add(f.Data)
	case InputEnd:
		a.input.end(io.EOF)
	case Resize:
		select { // the newest alone counts
		case <-a.Resizes:
		default:
		}
		a.Resizes <- decodeSize(f.Data)
	case Signal:
		select {
		case a.Signals <- string(f.Data):
		default:
		}
	}
	return nil
}

// Start says that what the header asks for has begun.
func (a *Accepted) Start() error {
	a.sending.Lock()
	begun := a.started
	a.started = true
	a.sending.Unlock()
	if begun {
		return nil
	}
	return a.send(Started, nil)
}

// Input is what the operator sends, to its end. Reading makes room for more.
func (a *Accepted) Input() io.Reader { return &a.input }

// Stdout writes Output. It waits while the operator does not read.
func (a *Accepted) Stdout() io.Writer { return frameWriter{a, Output} }

// Stderr writes ErrorOutput, as Stdout does.
func (a *Accepted) Stderr() io.Writer { return frameWriter{a, ErrorOutput} }

// EndOutput says that no Output follows.
func (a *Accepted) EndOutput() error { return a.Send(OutputEnd, nil) }

// Send sends a frame, which holds at most MaxFrame bytes.
func (a *Accepted) Send(kind Kind, data []byte) error {
	if err := a.Start(); err != nil {
		return err
	}
	return a.send(kind, data)
}

func (a *Accepted) send(kind Kind, data []byte) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	a.buffer = encode(a.buffer[:0], kind, data)
	if _, err := a.conn.Write(a.buffer); err != nil {
		return fault.Wrap(fault.Unavailable, err, "send to the operator")
	}
	return nil
}

type frameWriter struct {
	to   *Accepted
	kind Kind
}

func (w frameWriter) Write(p []byte) (sent int, err error) {
	for sent < len(p) {
		part := p[sent:min(len(p), sent+chunk)]
		if err := w.to.Send(w.kind, part); err != nil {
			return sent, err
		}
		sent += len(part)
	}
	return sent, nil
}

// inputBuffer keeps Input until it is read, at most inputWindow bytes.
type inputBuffer struct {
	of      *Accepted
	mu      sync.Mutex
	changed *sync.Cond
	kept    []byte
	used    int // bytes that have been read, without credit for them yet
	err     error
}

func (b *inputBuffer) init(of *Accepted) {
	b.of = of
	b.changed = sync.NewCond(&b.mu)
}

func (b *inputBuffer) add(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil // nothing reads it
	}
	if len(b.kept)+b.used+len(p) > inputWindow {
		return fault.New(fault.Invalid, "the operator sends more input than it may")
	}
	b.kept = append(b.kept, p...)
	b.changed.Broadcast()
	return nil
}

// end sets the error that follows what is kept, unless it has one.
func (b *inputBuffer) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.changed.Broadcast()
	}
}

// Read implements io.Reader. It gives the operator credit for what it returns.
func (b *inputBuffer) Read(p []byte) (int, error) {
	if err := b.of.Start(); err != nil { // the operator sends nothing before
		return 0, err
	}
	b.mu.Lock()
	for len(b.kept) == 0 && b.err == nil {
		b.changed.Wait()
	}
	n := copy(p, b.kept)
	b.kept = b.kept[n:]
	if len(b.kept) == 0 {
		b.kept = nil
	}
	b.used += n
	credit, err := 0, b.err
	if b.used >= inputWindow/2 && err == nil {
		credit, b.used = b.used, 0
	}
	b.mu.Unlock()
	if credit > 0 {
		if err := b.of.Send(Credit, number(credit)); err != nil {
			return n, err
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}
