package fleet

import "time"

// Access is a request that an edge has answered, or a connection that has ended: one
// line of a service's access log, as a JSON object.
type Access struct {
	// Time is when the answer, or the connection, ended.
	Time time.Time `json:"time"`
	// Route is the name of the route, and Endpoint where it was reached, as
	// Endpoint.String has it.
	Route    string `json:"route,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	// Protocol is "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "tcp" or "udp".
	Protocol string `json:"protocol"`
	// Client is the address of the client, without its port.
	Client string `json:"client"`
	// Method, Host, Path and Status are those of a request; a path has no query, which
	// may have secrets in it.
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path,omitempty"`
	Status int    `json:"status,omitempty"`
	// Received and Sent are the bytes of the bodies, or of the connection, as the client
	// sees them: what it has sent is received.
	Received int64 `json:"received,omitempty"`
	Sent     int64 `json:"sent,omitempty"`
	// Upstream is the container's address; "" where the edge has answered itself.
	Upstream string `json:"upstream,omitempty"`
	// DurationMS is from the first byte to the end, in milliseconds.
	DurationMS float64 `json:"duration_ms"`
	// Error is why no upstream has answered; "" if one has.
	Error string `json:"error,omitempty"`
}
