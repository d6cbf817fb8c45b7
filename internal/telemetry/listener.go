package telemetry

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Off is the address of a process that does not listen; "" is too.
const Off = "off"

// retry is how often an address is tried again that cannot be listened on: a
// worker that takes over from another comes while that one still ends.
const retry = 5 * time.Second

// goodbye is how long requests under way may take when the listener closes.
const goodbye = 3 * time.Second

// Listener serves HTTP until it is closed.
type Listener struct {
	log     *slog.Logger
	address string
	server  *http.Server
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	bound string
}

// Listen serves at an address, "127.0.0.1:9464", until Close. No worker fails
// for want of a port: while the address cannot be had, because another worker
// on this machine has it, that is logged once and it is tried again.
func Listen(address string, h http.Handler, log *slog.Logger) *Listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{log: log, address: address, cancel: cancel, server: &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	if address == "" || address == Off {
		log.Info("metrics and health are off")
		return l
	}
	socket, err := net.Listen("tcp", address)
	if err != nil {
		log.Warn("metrics and health are off until this address is free", "error", err, "next", retry)
		l.running.Go(func() { l.retry(ctx) })
		return l
	}
	l.serve(socket)
	return l
}

// Address is where it listens; "" while it does not.
func (l *Listener) Address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound
}

// Close stops listening, lets requests under way end, and returns when all has
// ended. It may be called twice.
func (l *Listener) Close() {
	l.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close() // what does not end is cut off
	}
	l.running.Wait()
}

// retry serves as soon as the address can be had.
func (l *Listener) retry(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		if socket, err := net.Listen("tcp", l.address); err == nil {
			l.serve(socket)
			return
		}
	}
}

// serve serves at a socket, in the background.
func (l *Listener) serve(socket net.Listener) {
	l.mu.Lock()
	l.bound = socket.Addr().String()
	l.mu.Unlock()
	l.log.Info("metrics and health", "address", socket.Addr().String())
	l.running.Go(func() { _ = l.server.Serve(socket) }) // Close ends it, and it the socket
}
