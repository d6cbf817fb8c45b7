package role

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
)

// serveStreams keeps a session of streams with each gateway, until stop.
func serveStreams(name string, doors []func(context.Context) (net.Conn, error), handle stream.Handler, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	for _, dial := range doors {
		sessions.Go(func() {
			stream.Node{Name: name, Role: identity.Edge, Dial: dial, Handle: handle, Logger: log}.Run(ctx)
		})
	}
	return func() {
		cancel()
		sessions.Wait()
	}
}

// Stream serves one stream, of lines of the access log.
func (r *Router) Stream(ctx context.Context, a *stream.Accepted) (code int, err error) {
	asked := a.Header.Access
	if asked == nil {
		return 0, fault.New(fault.Invalid, "an edge has no stream of the verb %q", a.Header.Verb)
	}
	since := time.Time{}
	if asked.Since > 0 {
		since = time.Now().Add(-asked.Since)
	}
	lines, err := r.AccessLog(ctx, a.Header.Service, asked.Lines, since)
	if err != nil {
		return 0, err
	}
	out := a.Stdout()
	for _, line := range lines {
		if _, err := io.WriteString(out, line+"\n"); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
