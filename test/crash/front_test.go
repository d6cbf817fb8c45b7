package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// front is where the world finds an image registry: it lets everything
// through, until it is told to be ill.
type front struct {
	proxy *toxiproxy.Proxy
	// clerk answers between the proxy and the image registry.
	clerk *http.Server
	// refusing makes the clerk answer 503 to everything.
	refusing atomic.Bool
}

// newFront listens on an address, "ip:0" for any port, for what listens on
// upstream.
func newFront(address, upstream string) (*front, error) {
	f := &front{}
	through := &httputil.ReverseProxy{
		// The host stays what the client has asked for: redirects name it.
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", upstream },
		// Where nobody answers, the client hears nothing either.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	f.clerk = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.refusing.Load() {
			http.Error(w, "the image registry is being repaired", http.StatusServiceUnavailable)
			return
		}
		through.ServeHTTP(w, r)
	}), ErrorLog: log.New(io.Discard, "", 0)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the image registry: %w", err)
	}
	go func() { _ = f.clerk.Serve(listener) }()
	f.proxy, err = forward(address, listener.Addr().String())
	return f, err
}

// forward listens on an address and lets everything through to another.
func forward(address, upstream string) (*toxiproxy.Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, upstream, address, upstream)
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("forward %s to %s: %w", address, upstream, err)
	}
	return proxy, nil
}

// address is where it listens.
func (f *front) address() string { return f.proxy.Listen }

// hang lets no more answers through, and keeps connections open.
func (f *front) hang() error {
	return f.poison(`{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
}

// cutBytes is less than the smallest layer that stories push or pull, and more
// than a question or a manifest.
const cutBytes = 64 << 10

// cutBlobs closes each connection in the middle of the first blob on it, in
// whichever direction it goes.
func (f *front) cutBlobs() error {
	var problems []error
	for _, direction := range []string{"upstream", "downstream"} {
		problems = append(problems, f.poison(fmt.Sprintf(`{"type": "limit_data", "stream": %q, "attributes": {"bytes": %d}}`, direction, cutBytes)))
	}
	return errors.Join(problems...)
}

func (f *front) poison(toxic string) error {
	_, err := f.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	return err
}

// refuse answers 503 to everything.
func (f *front) refuse() error {
	f.refusing.Store(true)
	return nil
}

// heal makes it well again.
func (f *front) heal() {
	f.refusing.Store(false)
	f.proxy.Toxics.ResetToxics(context.Background())
}

func (f *front) close() {
	f.heal()
	f.proxy.Stop()
	_ = f.clerk.Close()
}
