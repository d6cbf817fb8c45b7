package telemetry

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Off is the address of a process that does not listen, and so is "".
const Off = "off"

// retryInterval is the time between attempts to listen. A worker that replaces
// another starts while that one still holds the address.
const retryInterval = 5 * time.Second

// shutdownTimeout bounds the open requests when the listener closes.
const shutdownTimeout = 3 * time.Second

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

// Listen serves at an address, "127.0.0.1:9464", until Close. A worker does not
// fail for lack of a port: while another process holds the address, Listen has
// logged that once and retries in the background.
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
		log.Warn("metrics and health are off until this address is free", "error", err, "next", retryInterval)
		l.running.Go(func() { l.retry(ctx) })
		return l
	}
	l.serve(socket)
	return l
}

// Address returns the address on which l listens; "" while it does not.
func (l *Listener) Address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound
}

// Close stops listening, waits for open requests, and returns when every
// goroutine of l has ended. It may be called twice.
func (l *Listener) Close() {
	l.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close() // closes the remaining connections
	}
	l.running.Wait()
}

// retry serves as soon as the address is free.
func (l *Listener) retry(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryInterval):
		}
		if socket, err := net.Listen("tcp", l.address); err == nil {
			l.serve(socket)
			return
		}
	}
}

// serve serves on a socket in the background.
func (l *Listener) serve(socket net.Listener) {
	l.mu.Lock()
	l.bound = socket.Addr().String()
	l.mu.Unlock()
	l.log.Info("serving metrics and health", "address", socket.Addr().String())
	l.running.Go(func() { _ = l.server.Serve(socket) }) // Close ends it, and it closes the socket
}
