// Package serve implements what a node does for the streams that the door opens: the
// output of its containers, commands in them, their files, connections to their ports.
package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
)

// Engine is what streams need of a container engine.
type Engine interface {
	Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error)
	ExecAttached(ctx context.Context, name string, spec runtime.AttachedExec) (code int, err error)
	Stat(ctx context.Context, name, path string) (runtime.FileInfo, error)
	CopyOut(ctx context.Context, name, path string, to io.Writer) error
	CopyIn(ctx context.Context, name, path string, renamed map[string]string, from io.Reader) error
}

// Server serves the streams of one node.
type Server struct {
	engine Engine
	node   onnode.Direct
	log    *slog.Logger
	feeds  feeds
	alone  chan struct{}
}

// New returns the Server of a node.
func New(engine Engine, node onnode.Direct, log *slog.Logger) *Server {
	return &Server{engine: engine, node: node, log: log, feeds: feeds{read: node.Logs, keep: keptBytes, linger: linger}, alone: make(chan struct{}, alone)}
}

// Handle implements [stream.Handler].
func (s *Server) Handle(ctx context.Context, a *stream.Accepted) (code int, err error) {
	h := a.Header
	if h.Verb.Changes() {
		if err := s.node.PermitReach(h.Container()); err != nil {
			return 0, err
		}
		s.log.Info("a stream begins", "who", h.Who, "verb", h.Verb, "container", h.Container(), "detail", h.Detail())
	}
	info, err := s.container(ctx, h)
	if absent := h.Verb == stream.Logs && fault.Is(err, fault.NotFound); err != nil && !absent {
		return 0, s.node.Placed(err, h.Component)
	}
	switch h.Verb {
	case stream.Logs:
		if h.Task != nil {
			err = s.task(ctx, a, err != nil)
			break
		}
		err = s.logs(ctx, a)
	case stream.Exec:
		code, err = s.exec(ctx, a, info)
	case stream.CopyFrom:
		err = s.engine.CopyOut(ctx, info.ID, h.Copy.Path, a.Stdout())
	case stream.CopyTo:
		err = s.copyTo(ctx, a, info)
	case stream.Forward:
		err = s.forward(ctx, a, info)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return 0, s.node.Placed(err, h.Component)
	}
	return code, nil
}

// container finds the container of a stream, which must be the one that its header names.
func (s *Server) container(ctx context.Context, h stream.Header) (runtime.ContainerInfo, error) {
	info, err := s.engine.Inspect(ctx, h.Container())
	if err != nil {
		return info, err
	}
	service, labelled := info.Labels[runtime.LabelService]
	if h.Task != nil {
		if service != h.Service || info.Labels[runtime.LabelTask] != h.Task.ID || info.Labels[runtime.LabelTaskName] != h.Task.Name {
			return info, fault.New(fault.Conflict, "container %s is not that of %s %s: its labels say otherwise", h.Container(), h.Task.Kind, h.Target())
		}
		return info, nil
	}
	if labelled || !h.Unlabelled {
		if service != h.Service || info.Labels[runtime.LabelComponent] != h.Component {
			return info, fault.New(fault.NotFound, "container %s is not one of %s: its labels say otherwise", h.Container(), h.Target())
		}
	}
	return info, nil
}

func (s *Server) exec(ctx context.Context, a *stream.Accepted, info runtime.ContainerInfo) (int, error) {
	request := a.Header.Exec
	spec := runtime.AttachedExec{
		Command: request.Command, Terminal: request.Terminal, Size: request.Size, Term: request.Term,
		Stdout: a.Stdout(), Stderr: a.Stderr(), Started: a.Start, Resizes: a.Resizes, Signals: a.Signals,
	}
	if request.Input {
		spec.Stdin = a.Input()
	}
	return s.engine.ExecAttached(ctx, info.ID, spec)
}

func (s *Server) copyTo(ctx context.Context, a *stream.Accepted, info runtime.ContainerInfo) error {
	to, name := a.Header.Copy.Path, a.Header.Copy.Name
	found, err := s.engine.Stat(ctx, info.ID, to)
	switch {
	case err == nil && found.Dir:
		return s.engine.CopyIn(ctx, info.ID, to, nil, a.Input())
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	}
	var renamed map[string]string
	if name != "" {
		renamed = map[string]string{name: path.Base(to)}
	}
	return s.engine.CopyIn(ctx, info.ID, path.Dir(path.Clean(to)), renamed, a.Input())
}

// dialPatience bounds the connection to a port.
const dialPatience = 10 * time.Second

// forward connects to a port inside a container.
func (s *Server) forward(ctx context.Context, a *stream.Accepted, info runtime.ContainerInfo) error {
	port := a.Header.Forward.Port
	addresses := addressesOf(info, port)
	if len(addresses) == 0 {
		return fault.New(fault.Invalid, "port %d of %s cannot be reached from its node: the container has no network of its own there, and does not publish it", port, info.Name)
	}
	var conn net.Conn
	var err error
	for _, address := range addresses {
		dial, cancel := context.WithTimeout(ctx, dialPatience)
		conn, err = (&net.Dialer{}).DialContext(dial, "tcp", address)
		cancel()
		if err == nil {
			break
		}
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "connect to port %d of %s", port, info.Name).
			WithHint("see what the program says: mcp logs %s", a.Header.Target())
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := a.Start(); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, a.Input())
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	if _, err := io.Copy(a.Stdout(), conn); err != nil {
		return fault.Wrap(fault.Unavailable, err, "read from port %d of %s", port, info.Name)
	}
	if err := a.EndOutput(); err != nil {
		return err
	}
	// A program that has closed the connection may still read, or take nothing any more.
	if err := <-sent; err != nil && !errors.Is(err, stream.ErrGone) && ctx.Err() == nil {
		s.log.Debug("input of a connection was not taken", "container", info.Name, "port", port, "error", err)
	}
	return nil
}

// addressesOf returns where a port of a container may answer, as seen from its host. For a
// container on the host's network there are none: every port there would be the host's.
func addressesOf(info runtime.ContainerInfo, port int) (addresses []string) {
	var own []netip.Addr
	for _, address := range info.Addresses {
		own = append(own, address)
	}
	slices.SortFunc(own, netip.Addr.Compare)
	for _, address := range own {
		addresses = append(addresses, netip.AddrPortFrom(address, uint16(port)).String())
	}
	for _, published := range info.Ports {
		if published.Container == port && published.Host != 0 && (published.Protocol == "" || published.Protocol == "tcp") {
			addresses = append(addresses, net.JoinHostPort(orLoopback(published.IP), strconv.Itoa(published.Host)))
		}
	}
	return addresses
}

// orLoopback returns the address at which a published port answers on its host.
func orLoopback(address string) string {
	if parsed, err := netip.ParseAddr(address); err != nil || parsed.IsUnspecified() {
		return "127.0.0.1"
	}
	return address
}
