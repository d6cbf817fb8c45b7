package proxy

import (
	"net/netip"
	"time"
)

// Access is a request that was answered, or a connection or session that has ended.
type Access struct {
	Begun    time.Time
	Duration time.Duration
	// Service is "" if no route was found.
	Service string
	// Route is the name of the first route that was found, and Endpoint where it is
	// reached, in the form of fleet.Endpoint; "" if none was found.
	Route, Endpoint string
	// Protocol is "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "tcp" or "udp".
	Protocol string
	// Port is the port of the route.
	Port int
	// Method, Host, Path and UserAgent are those of the request. The query is left out:
	// it may contain secrets. With tcp, Host is the server name.
	Method, Host, Path, UserAgent string
	// Status is that of the answer; 0 if the client went away before an answer, or there
	// is none.
	Status int
	// Bytes are those of the answer's body as it was sent, and Received those of the
	// request's body as far as they were read; of a connection, those of each direction.
	Bytes, Received int64
	// Client is the client's address; Upstream the container's, "" if none was chosen.
	Client   netip.Addr
	Upstream string
	// Err is why no upstream was connected to, or has answered; nil if one has, or if the
	// edge itself has answered.
	Err error
}

// found notes the route of an access; r may be nil.
func (a *Access) found(r *route) {
	if r != nil {
		a.Service, a.Route, a.Endpoint = r.Service, r.Name, r.endpoint
	}
}
