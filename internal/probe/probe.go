package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// Prober probes over the network. Each probe opens a new connection, because an
// open one does not prove that the address still accepts connections.
type Prober struct{}

// client follows no redirect, whose target may be another service, and uses no
// proxy, which would answer instead of the container.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// acceptTime is how long a forwarder may take to accept a connection.
const acceptTime = time.Second

// HTTP returns an error unless the request is answered within timeout with one of the
// status codes; none stands for 200 to 399.
func (Prober) HTTP(ctx context.Context, request *http.Request, status []int, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("probe: %w", err) // the error names the URL
	}
	_ = response.Body.Close()
	switch code := response.StatusCode; {
	case len(status) > 0 && !slices.Contains(status, code):
		return fmt.Errorf("probe %s: status %s, not one of %v", request.URL, response.Status, status)
	case len(status) == 0 && (code < 200 || code > 399):
		return fmt.Errorf("probe %s: status %s", request.URL, response.Status)
	}
	return nil
}

// TCP returns an error unless address, "host:port", accepts a connection within
// timeout.
func (Prober) TCP(ctx context.Context, address string, timeout time.Duration) error {
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("probe: %w", err) // the error names the address
	}
	return conn.Close()
}

// Forwarded returns an error unless the container to which the engine forwards
// address accepts a connection within timeout. On this host a connection may be
// accepted by something else: the socket with which podman reserves a port that it
// does not forward, or a forwarder that then finds no listener in the container. If a
// forwarder has accepted it, the network namespace of the container's process must have
// a socket that listens on port. Container returns that process; it is called only then.
func (p Prober) Forwarded(ctx context.Context, address string, port int, container func(context.Context) (pid int, err error), timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("probe: %w", err) // the error names the address
	}
	defer func() { _ = conn.Close() }()
	switch awaitAcceptor(ctx, conn) {
	case noOne:
		return notForwarded(address)
	case local:
		pid, err := container(ctx)
		if err != nil {
			return err
		}
		if serves, known := listens(pid, port); known && !serves {
			return fmt.Errorf("probe %s: the container does not listen on port %d", address, port)
		}
	}
	return nil
}

// awaitAcceptor returns what has accepted a connection, noOne if nothing does so in
// time.
func awaitAcceptor(ctx context.Context, conn net.Conn) acceptor {
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	for pause := time.Millisecond; ; pause *= 2 {
		if found := acceptorOf(conn); found != noOne {
			return found
		}
		select {
		case <-ctx.Done():
			return noOne
		case <-time.After(pause):
		}
	}
}

// notForwarded is the error of a port that the engine holds and does not forward.
func notForwarded(address string) error {
	f := fault.New(fault.Unhealthy, "probe %s: podman holds the port, and forwards no connection to the container", address)
	if host, _, _ := net.SplitHostPort(address); net.ParseIP(host).To4() == nil {
		return f.WithHint("podman forwards an IPv6 port only to a container whose network has IPv6, and not from ::1 or ::; " +
			"publish it on an IPv4 address, or on another IPv6 address of the node")
	}
	return f.WithHint("podman's firewall rules may be gone: podman network reload --all")
}
