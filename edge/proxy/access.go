package proxy

import (
	"net/netip"
	"time"
)

// Access is a request that was answered, or a connection or session that has ended.
type Access struct {
	Begun    time.Time
	Duration time.Duration
	// Service is "" where no route was found.
	Service string
	// Protocol is "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "tcp" or "udp".
	Protocol string
	// Port is the port of the route.
	Port int
	// Method, Host, Path and UserAgent are those of the request. The query is left out:
	// it may have secrets. With tcp, Host is the server name.
	Method, Host, Path, UserAgent string
	// Status is that of the answer; 0 where the client went away before one, or has none.
	Status int
	// Bytes are those of the answer's body as it was sent.
	Bytes int64
	// Client is the client's address; Upstream the container's, "" if none was chosen.
	Client   netip.Addr
	Upstream string
}
