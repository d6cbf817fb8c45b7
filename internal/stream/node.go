package stream

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/identity"
)

// Node is the side of a node, or of an edge: it keeps a session with the door, and serves the
// streams that the door opens.
type Node struct {
	// Name is the node's, and Role identity.Edge for an edge; "" means a node.
	Name string
	Role identity.Role
	// Dial connects to one gateway of the door.
	Dial func(ctx context.Context) (net.Conn, error)
	// Handle serves one stream.
	Handle Handler
	// Logger may be nil.
	Logger *slog.Logger
}

// The pauses between two attempts to connect.
const firstPause, longestPause = 500 * time.Millisecond, 15 * time.Second

// Run keeps a session until ctx ends. It connects again when the session breaks.
func (n Node) Run(ctx context.Context) {
	log := n.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for pause := firstPause; ctx.Err() == nil; {
		began := time.Now()
		err := n.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longestPause {
			pause = firstPause
		}
		log.Warn("there is no connection to the door for streams; trying again", "for", n.server(), "in", pause, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, longestPause)
	}
}

// session connects once, and serves until the connection breaks.
func (n Node) session(ctx context.Context) error {
	dial, cancel := context.WithTimeout(ctx, patience)
	conn, err := n.Dial(dial)
	cancel()
	if err != nil {
		return err
	}
	return n.Serve(ctx, conn)
}

// Serve serves the streams of one connection to the door until it breaks or ctx ends.
func (n Node) Serve(ctx context.Context, conn net.Conn) error {
	session, err := dialed(conn)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	ctx, cancel := context.WithCancelCause(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel(ErrGone)
	defer closeWith(ctx, session)()
	for {
		conn, err := session.Accept()
		if err != nil {
			return err
		}
		streams.Go(func() { serve(ctx, conn, n.server(), n.Handle) })
	}
}

// server names the node or the edge, as a header does.
func (n Node) server() string { return serverOf(cmp.Or(n.Role, identity.Node), n.Name) }
