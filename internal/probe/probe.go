package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
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

// HTTP returns an error unless a GET of url is answered with 2xx or 3xx within
// timeout.
func (Prober) HTTP(ctx context.Context, url string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("probe %s: %w", url, err)
	}
	request.Header.Set("User-Agent", "mcp-probe")
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("probe: %w", err) // the error names the URL
	}
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("probe %s: status %s", url, response.Status)
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
