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

// registryProxy is the address of the image registry for all of a rig. It passes
// everything through unless a fault is injected.
type registryProxy struct {
	proxy *toxiproxy.Proxy
	// server is between the proxy and the image registry.
	server *http.Server
	// refusing makes server answer 503 to everything.
	refusing atomic.Bool
}

// newRegistryProxy listens on an address, "ip:0" for any port.
func newRegistryProxy(address, upstream string) (*registryProxy, error) {
	f := &registryProxy{}
	through := &httputil.ReverseProxy{
		// The host stays the client's: redirects name it.
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", upstream },
		// Where upstream does not answer, neither does the proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	f.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	go func() { _ = f.server.Serve(listener) }()
	f.proxy, err = forward(address, listener.Addr().String())
	return f, err
}

// forward listens on an address, and passes everything to another.
func forward(address, upstream string) (*toxiproxy.Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, upstream, address, upstream)
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("forward %s to %s: %w", address, upstream, err)
	}
	return proxy, nil
}

// address is where it listens.
func (f *registryProxy) address() string { return f.proxy.Listen }

// hang passes no more answers, and keeps connections open.
func (f *registryProxy) hang() error {
	return f.add(`{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
}

// cutBytes is less than the smallest layer that scenarios push or pull, and more
// than a request or a manifest.
const cutBytes = 64 << 10

// cutBlobs closes each connection in the middle of its first blob, in either
// direction.
func (f *registryProxy) cutBlobs() error {
	var problems []error
	for _, direction := range []string{"upstream", "downstream"} {
		problems = append(problems, f.add(fmt.Sprintf(`{"type": "limit_data", "stream": %q, "attributes": {"bytes": %d}}`, direction, cutBytes)))
	}
	return errors.Join(problems...)
}

func (f *registryProxy) add(toxic string) error {
	_, err := f.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	return err
}

// refuse answers 503 to everything.
func (f *registryProxy) refuse() error {
	f.refusing.Store(true)
	return nil
}

// repair removes all faults.
func (f *registryProxy) repair() {
	f.refusing.Store(false)
	f.proxy.Toxics.ResetToxics(context.Background())
}

func (f *registryProxy) close() {
	f.repair()
	f.proxy.Stop()
	_ = f.server.Close()
}
