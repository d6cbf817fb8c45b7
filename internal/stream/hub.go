package stream

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
)

// Hub connects the streams of operators with the sessions of nodes and edges. Its fields do not
// change while it serves.
type Hub struct {
	// Allow returns why a caller may not have a stream, or nil; [Permit] if it is nil.
	Allow func(who identity.Identity, h Header) error
	// Audit records a stream that can change something: when it begins, and how it has
	// ended. Its context has the caller. A stream that cannot be recorded does not begin. Nil
	// records nothing.
	Audit func(ctx context.Context, entry fleet.AuditEntry) error
	// PerPeer bounds the streams of one operator at a time, and All those of everyone; 0
	// for the defaults.
	PerPeer, All int
	// Logger may be nil.
	Logger *slog.Logger

	mu      sync.Mutex
	servers map[string][]*yamux.Session // of nodes and edges: the newest last
	open    map[string]int              // streams by who has them
	all     int
}

const (
	// A person has a stream for each component that each of its commands follows.
	defaultPerPeer, defaultAll = 1024, 8192
	// perServer is how many sessions of one node or edge are kept: a node makes a new one
	// when it finds the old one broken, which may be before the gateway does.
	perServer = 4
	// auditPatience bounds the record of a stream.
	auditPatience = 10 * time.Second
)

// Serve serves the session of a caller on a connection until that breaks or ctx ends, and
// closes it. The caller of Serve closes the connection of an identity that is revoked.
func (h *Hub) Serve(ctx context.Context, conn net.Conn, who identity.Identity) error {
	serves := who.Role == identity.Node || who.Role == identity.Edge
	if !serves && !who.Role.Person() {
		_ = conn.Close()
		return fault.New(fault.Unauthorized, "%s has no use for streams", who)
	}
	session, err := answered(conn)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the streams of the session end with it
	defer closeWith(ctx, session)()
	if serves {
		defer h.register(serverOf(who.Role, who.Name), session)()
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	for {
		conn, err := session.AcceptStream()
		if err != nil {
			return nil
		}
		if serves {
			return fault.New(fault.Unauthorized, "%s opens a stream: nodes and edges do not", who)
		}
		if session.NumStreams() > 2*cmp.Or(h.PerPeer, defaultPerPeer) {
			return fault.New(fault.Invalid, "%s leaves too many streams open that have ended", who)
		}
		calls.Go(func() { h.call(ctx, conn, who) })
	}
}

// Refuse answers the first stream of a session with the reason why there are none. The
// deadline of the connection bounds it.
func (h *Hub) Refuse(conn net.Conn, who identity.Identity, reason error) {
	if !who.Role.Person() {
		return // a node or an edge opens no stream
	}
	session, err := answered(conn)
	if err != nil {
		return
	}
	defer func() { _ = session.Close() }()
	asked, err := session.AcceptStream()
	if err != nil {
		return
	}
	if _, err := readHeader(asked); err == nil || fault.Is(err, fault.Invalid) {
		_, _ = asked.Write(encode(nil, Failure, encodeFault(fault.Of(reason))))
		hangUp(asked)
		<-session.CloseChan() // the caller goes, or the deadline comes
	}
}

// Nodes returns the names of the nodes that are connected, sorted.
func (h *Hub) Nodes() []string { return h.connected(identity.Node) }

// Edges returns the names of the edges that are connected, sorted.
func (h *Hub) Edges() []string { return h.connected(identity.Edge) }

func (h *Hub) connected(role identity.Role) (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for server := range h.servers {
		if name, is := strings.CutPrefix(server, serverOf(role, "")); is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (h *Hub) register(server string, session *yamux.Session) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.servers == nil {
		h.servers = map[string][]*yamux.Session{}
	}
	if sessions := h.servers[server]; len(sessions) == perServer {
		go func() { _ = sessions[0].Close() }()
		h.servers[server] = slices.Clone(sessions[1:])
	}
	h.servers[server] = append(h.servers[server], session)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.servers[server] = slices.DeleteFunc(h.servers[server], func(other *yamux.Session) bool { return other == session })
		if len(h.servers[server]) == 0 {
			delete(h.servers, server)
		}
	}
}

// connect opens a stream to what serves it, on the newest session that can.
func (h *Hub) connect(header Header) (net.Conn, error) {
	h.mu.Lock()
	sessions := slices.Clone(h.servers[header.server()])
	h.mu.Unlock()
	for _, session := range slices.Backward(sessions) {
		if conn, err := session.Open(); err == nil {
			return conn, nil
		}
	}
	f := fault.New(fault.Unavailable, "%s is not connected to this door for streams", header.from()).
		WithHint("its worker connects again within seconds if it runs: mcp %s", strings.Replace(header.server(), "/", " show ", 1))
	f.Node = header.Node
	return nil, f
}

// enter counts a stream of a peer, unless there are too many.
func (h *Hub) enter(who string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		h.open = map[string]int{}
	}
	if h.open[who] >= cmp.Or(h.PerPeer, defaultPerPeer) || h.all >= cmp.Or(h.All, defaultAll) {
		return fault.New(fault.Forbidden, "%s has %d streams, and the door %d: that is all it carries", who, h.open[who], h.all).
			WithHint("end some of its commands: logs -f has a stream for each component")
	}
	h.open[who]++
	h.all++
	return nil
}

func (h *Hub) leave(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if h.open[who]--; h.open[who] == 0 {
		delete(h.open, who)
	}
}

// call serves one stream of an operator.
func (h *Hub) call(ctx context.Context, operator net.Conn, who identity.Identity) {
	var forth sync.WaitGroup
	defer forth.Wait()
	defer hangUp(operator)
	_ = operator.SetReadDeadline(time.Now().Add(headerPatience))
	header, err := readHeader(operator)
	_ = operator.SetReadDeadline(time.Time{})
	header.Who = who.String()
	if err == nil {
		err = h.allow(who, header)
	}
	if err == nil {
		err = h.carry(identity.NewContext(ctx, who), &forth, operator, header)
	}
	if err == nil || errors.Is(err, ErrGone) {
		return
	}
	h.log().Info("a stream was refused or has broken off", "who", header.Who, "verb", header.Verb, "from", header.server(), "target", header.Target(), "error", err)
	_, _ = operator.Write(encode(nil, Failure, encodeFault(fault.Of(err))))
}

func (h *Hub) allow(who identity.Identity, header Header) error {
	if h.Allow == nil {
		return Permit(who, header)
	}
	return h.Allow(who, header)
}

// carry connects an operator with its node. The error is one that the operator does not have
// yet.
func (h *Hub) carry(ctx context.Context, forth *sync.WaitGroup, operator net.Conn, header Header) error {
	if err := h.enter(header.Who); err != nil {
		return err
	}
	defer h.leave(header.Who)
	record, err := h.begin(ctx, header)
	if err != nil {
		return err
	}
	end, err := h.pass(forth, operator, header)
	record(end, err)
	return err
}

// pass connects an operator with its node, and returns the last frame.
func (h *Hub) pass(forth *sync.WaitGroup, operator net.Conn, header Header) (end Frame, err error) {
	node, err := h.connect(header)
	if err != nil {
		return end, err
	}
	defer hangUp(node)
	if err := writeHeader(node, header); err != nil {
		return end, brokenServer(header, err)
	}
	stopped := make(chan error, 1)
	forth.Go(func() {
		err := forward(header, node, operator)
		stopped <- err
		hangUp(node) // which ends the other direction
		if errors.Is(err, ErrGone) {
			_ = operator.Close() // nothing reads it
		}
	})
	reader := frameReader{from: fromNode, source: node}
	for {
		f, err := reader.next()
		if err == nil {
			if _, err := operator.Write(reader.raw()); err != nil {
				return end, ErrGone
			}
			if f.ends() {
				return f, nil
			}
			continue
		}
		select {
		case err = <-stopped:
			return end, err
		default:
			return end, brokenServer(header, err)
		}
	}
}

// forward carries the frames of an operator to a node until one of them is gone, or the
// operator sends something that is not a frame.
func forward(header Header, node io.Writer, operator io.Reader) error {
	for reader := (frameReader{from: fromOperator, source: operator}); ; {
		_, err := reader.next()
		switch {
		case fault.Is(err, fault.Invalid):
			return err
		case err != nil:
			return ErrGone
		}
		if _, err := node.Write(reader.raw()); err != nil {
			return brokenServer(header, err)
		}
	}
}

// brokenServer returns the error of a stream that its node or edge has not ended.
func brokenServer(header Header, err error) error {
	f := broken("the stream from "+header.from(), err)
	f.Node = header.Node
	return f
}

// hangUp closes a stream, and ends what reads it.
func hangUp(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now())
	_ = conn.Close()
}

// begin records that a stream begins, and returns a function that records its end.
func (h *Hub) begin(ctx context.Context, header Header) (record func(Frame, error), err error) {
	if h.Audit == nil || !header.Verb.Changes() {
		return func(Frame, error) {}, nil
	}
	verb := string(header.Verb)
	if header.Copy != nil {
		verb = "cp"
	}
	var key [12]byte
	_, _ = rand.Read(key[:]) // it never fails
	entry := fleet.AuditEntry{
		Key: "stream/" + hex.EncodeToString(key[:]), At: time.Now().UTC(), Actor: fleet.Actor{Who: header.Who},
		Action: fleet.Action{Verb: verb, Service: header.Service, Component: header.Component, Node: header.Node, Detail: header.Detail()},
	}
	write := func(ctx context.Context, entry fleet.AuditEntry) error {
		ctx, cancel := context.WithTimeout(ctx, auditPatience)
		defer cancel()
		return h.Audit(ctx, entry.Checked())
	}
	if err := write(ctx, entry); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s of %s is not in the audit, so it does not begin", verb, header.Target())
	}
	return func(end Frame, err error) {
		entry.At = time.Now().UTC()
		entry.Outcome, entry.Error = outcome(end, err)
		if err := write(context.WithoutCancel(ctx), entry); err != nil {
			h.log().Error("the end of a stream is not in the audit", "who", entry.Who, "verb", verb, "error", err)
		}
	}, nil
}

// outcome returns how a stream has ended, in a word of the audit, and why.
func outcome(end Frame, err error) (word, reason string) {
	switch {
	case errors.Is(err, ErrGone):
		return "cancelled", err.Error()
	case err != nil:
		return "failed", err.Error()
	case end.Kind == Failure:
		return "failed", decodeFault(end.Data).Message
	case end.Code() != 0:
		return "failed", fmt.Sprintf("exit code %d", end.Code())
	}
	return "succeeded", ""
}

func (h *Hub) log() *slog.Logger {
	if h.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Logger
}
