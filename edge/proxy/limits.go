package proxy

import "time"

// The limits of the server that listens. Those of bodies are the proxy's
// (Options.ClientIdle): a server's would end long transfers, too.
const (
	// ReadHeaderTimeout is how long a client may take for the headers of a request, and
	// for the handshake before it.
	ReadHeaderTimeout = 10 * time.Second
	// IdleTimeout is how long a connection lasts between two requests.
	IdleTimeout = 2 * time.Minute
	// MaxHeaderBytes bounds the headers of a request: 431 is the answer to more.
	MaxHeaderBytes = 64 << 10
)
