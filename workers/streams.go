package workers

import (
	"context"
	"net"
	"sync"

	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/serve"
)

// serveStreams keeps a session of streams with each gateway until the workers stop. A
// gateway that is away does not keep anything else from being served.
func (w *Workers) serveStreams(node string, doors []func(context.Context) (net.Conn, error), served *serve.Server) {
	ctx, stop := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	for _, dial := range doors {
		sessions.Go(func() {
			stream.Node{Name: node, Dial: dial, Handle: served.Handle, Logger: w.log}.Run(ctx)
		})
	}
	w.closers = append(w.closers, func() {
		stop()
		sessions.Wait()
	})
}
