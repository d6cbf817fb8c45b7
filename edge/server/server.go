package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// again is how often the server tries to listen after a failure, and checks whether
// the files of certificates have changed.
const again = 2 * time.Second

// Server serves the ports of a table. Its methods may be called concurrently.
type Server struct {
	options      Options
	log          *slog.Logger
	life         context.Context
	end          context.CancelFunc
	certificates *certificates
	view         atomic.Pointer[view]
	quics        sync.Map // the ports with HTTP/3

	mu       sync.Mutex
	streams  map[int]*stream
	packets  map[int]*packets
	failed   map[string]string // why a port is not listened on, by "tcp/443"
	problems []string          // of certificates
	stopped  bool
	handover *handover
	retired  sync.WaitGroup // the draining of ports that have gone
	loops    sync.WaitGroup
	taken    chan struct{}
}

// Start returns a server that listens nowhere before the first Apply. It ends with
// Stop; ctx bounds only the start. If a server of another process runs on the same
// data directory, the first Apply takes its sockets.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "creating the edge's data directory")
	}
	s := &Server{
		options: o, log: o.Log, streams: map[int]*stream{}, packets: map[int]*packets{},
		failed: map[string]string{}, taken: make(chan struct{}),
	}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.certificates = newCertificates(s.life, o)
	s.view.Store(newView(nil))
	if s.handover, err = inherit(ctx, o.Data); err != nil {
		s.log.Warn("the sockets of the former process could not be taken", "error", err)
	}
	s.loops.Go(s.watch)
	s.loops.Go(s.export)
	return s, nil
}

// Apply listens on the ports of the table, and manages the certificates of its
// hostnames. It returns what of that has failed, a sentence each; the rest is served.
// What has failed is tried again.
func (s *Server) Apply(t *table.Table) (problems []string) {
	v := newView(t.Routes())
	v.challenged(s.options.ACME != nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return []string{"The edge is stopping."}
	}
	s.view.Store(v)
	s.problems = s.certificates.apply(v)
	s.reconcile(v)
	return s.all()
}

// Problems returns what keeps the server from serving all of its table.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all()
}

func (s *Server) all() []string {
	all := slices.Clone(s.problems)
	for _, of := range slices.Sorted(maps.Keys(s.failed)) {
		all = append(all, s.failed[of])
	}
	return append(all, s.certificates.files.problems()...)
}

// Listening returns the ports of this host on which the server listens, each once.
func (s *Server) Listening() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ports := map[int]bool{}
	for number := range s.streams {
		ports[s.options.listening(number)] = true
	}
	for number := range s.packets {
		ports[s.options.listening(number)] = true
	}
	return slices.Sorted(maps.Keys(ports))
}

// Certificates returns what is known of the certificate of each hostname, sorted by
// hostname.
func (s *Server) Certificates() []fleet.Certificate { return s.certificates.states() }

// Root returns the root certificate of the server's own authority, in PEM. It is also
// in Data/ca/root.crt.
func (s *Server) Root(ctx context.Context) ([]byte, error) {
	if _, _, err := s.certificates.authority.load(ctx); err != nil {
		return nil, err
	}
	return slices.Clone(s.certificates.authority.pem), nil
}

// reconcile opens and closes ports as the view needs them.
func (s *Server) reconcile(v *view) {
	for number, p := range s.streams {
		if want := v.ports[number]; want == nil || !want.http && len(want.tcp) == 0 {
			delete(s.streams, number)
			s.retire(p)
		}
	}
	for number, p := range s.packets {
		if want := v.ports[number]; want == nil || want.udp != p.route || !want.udp && !want.tls {
			delete(s.packets, number)
			s.quics.Delete(number)
			p.close()
		}
	}
	s.failed = map[string]string{}
	for number, want := range v.ports {
		if s.streams[number] == nil && (want.http || len(want.tcp) > 0) {
			s.open("tcp", number, func() error {
				l, err := s.listen(number)
				if err == nil {
					s.streams[number] = newStream(s, number, l)
				}
				return err
			})
		}
	}
	s.handover.complete() // from here on no other process reads packets
	for number, want := range v.ports {
		if s.packets[number] == nil && (want.udp || want.tls) {
			s.open("udp", number, func() error {
				c, err := s.receive(number)
				if err == nil {
					s.packets[number] = newPackets(s, number, c, want.udp)
					if !want.udp {
						s.quics.Store(number, true)
					}
				}
				return err
			})
		}
	}
	s.offer()
}

// open opens a port, or records why that has failed.
func (s *Server) open(network string, number int, open func() error) {
	err := open()
	if err == nil {
		return
	}
	key := network + "/" + strconv.Itoa(number)
	s.failed[key] = fmt.Sprintf("The %s port %d is not served: %s.", network, number, unlistened(err))
	s.log.Warn("a port is not served", "port", number, "network", network, "error", err)
}

// unlistened returns why a port is not listened on, and the remedy.
func unlistened(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("%v; stop the other program, or have the edge listen on another port with edge.ports", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("%v; a port below 1024 needs the capability CAP_NET_BIND_SERVICE", err)
	}
	return err.Error()
}

func (s *Server) address(number int) string {
	return net.JoinHostPort(s.options.Address, strconv.Itoa(s.options.listening(number)))
}

// listen returns the listener of a route's port.
func (s *Server) listen(number int) (*net.TCPListener, error) {
	if l := s.handover.listener(s.address(number)); l != nil {
		return l, nil
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) {
			// Connections inherit it: how long a client may accept nothing.
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(s.options.Limits.Stall.Milliseconds()))
		})
		return errors.Join(control, err)
	}}
	l, err := config.Listen(s.life, "tcp", s.address(number))
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// receive returns the udp socket of a route's port.
func (s *Server) receive(number int) (*net.UDPConn, error) {
	if c := s.handover.packets(s.address(number)); c != nil {
		return c, nil
	}
	c, err := new(net.ListenConfig).ListenPacket(s.life, "udp", s.address(number))
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// quic reports whether a port has HTTP/3.
func (s *Server) quic(number int) bool {
	_, ok := s.quics.Load(number)
	return ok
}

// retire closes a port. Its connections end when their clients expect it.
func (s *Server) retire(p *stream) {
	p.close()
	s.retired.Go(func() { p.drain(s.life) })
}

// watch tries again what has failed, until the server ends.
func (s *Server) watch() {
	tick := time.NewTicker(again)
	defer tick.Stop()
	clean := time.NewTicker(cleaning)
	defer clean.Stop()
	for {
		select {
		case <-tick.C:
		case <-clean.C:
			s.certificates.clean()
		case <-s.life.Done():
			return
		}
		changed := s.certificates.files.refresh()
		s.mu.Lock()
		if v := s.view.Load(); !s.stopped {
			if changed {
				s.problems = s.certificates.apply(v)
			}
			if len(s.failed) > 0 {
				s.reconcile(v)
			}
		}
		s.mu.Unlock()
	}
}

// export loads the server's own authority, until that succeeds, so that its root
// certificate is in its file.
func (s *Server) export() {
	for said := ""; ; {
		_, err := s.Root(s.life)
		if err == nil || s.life.Err() != nil {
			return
		}
		if said != err.Error() {
			said = err.Error()
			s.log.Warn("the edge's own authority cannot be loaded yet", "error", err)
		}
		select {
		case <-time.After(15 * time.Second):
		case <-s.life.Done():
		}
	}
}

// Taken returns a channel that is closed when a new process has taken the sockets. The
// server then accepts nothing more, and should be stopped.
func (s *Server) Taken() <-chan struct{} { return s.taken }

// Stop ends the server. It accepts nothing more, and waits for the connections: each
// closes after the next response, which says so. Those that are open when ctx ends are
// closed. It may be called again.
func (s *Server) Stop(ctx context.Context) {
	streams, received := s.release(false)
	var drained sync.WaitGroup
	for _, p := range streams {
		drained.Go(func() { p.drain(ctx) })
	}
	for _, p := range received {
		drained.Go(func() { p.drain(ctx) })
	}
	stop := context.AfterFunc(ctx, s.end) // for ports that were closed before
	s.retired.Wait()
	stop()
	drained.Wait()
	s.end()
	s.loops.Wait()
	s.certificates.stop()
}

// release stops accepting connections, and returns what has to be drained. If a new
// process has taken the sockets, it also stops receiving packets.
func (s *Server) release(taken bool) ([]*stream, []*packets) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped && !taken {
		s.handover.withdraw()
	}
	s.stopped = true
	received := slices.Collect(maps.Values(s.packets))
	s.packets = map[int]*packets{}
	s.quics.Clear()
	var closed sync.WaitGroup
	if taken {
		for _, p := range received {
			closed.Go(p.close)
		}
		received = nil
	}
	for _, p := range s.streams {
		if !p.draining.Load() {
			closed.Go(p.close)
		}
	}
	closed.Wait()
	return slices.Collect(maps.Values(s.streams)), received
}
