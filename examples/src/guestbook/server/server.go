// Package server runs an HTTP server so that a deploy fails no request: after
// SIGTERM it still answers the requests in progress.
package server

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long requests in progress may take after SIGTERM. It is shorter
// than the 10 s after which the container is killed.
const grace = 8 * time.Second

// Run serves handler on a port until SIGTERM or SIGINT, and returns when the
// last request has been answered.
func Run(name, port string, handler http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	listener, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return fmt.Errorf("listen on port %s: %w", port, err)
	}
	log.Printf("%s listens on %s", name, listener.Addr())

	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}

	log.Printf("%s is stopping; answering the requests in progress", name)
	last, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	log.Printf("%s has stopped", name)
	return nil
}
