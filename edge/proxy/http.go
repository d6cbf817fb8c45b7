package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/edge/table"
)

// HTTP returns the handler of the requests to a port.
func (p *Proxy) HTTP(port int) http.Handler {
	h := &handler{Proxy: p, port: port}
	h.reverse = &httputil.ReverseProxy{
		Rewrite:      h.rewrite,
		Transport:    &transport{proxy: p},
		BufferPool:   buffers{},
		ErrorHandler: h.failed,
		ErrorLog:     nil,
	}
	return h
}

// newTransport returns the transport to an upstream, with enough idle connections that a busy
// one is not dialled anew.
func newTransport(u *upstream) *http.Transport {
	return &http.Transport{
		DialContext:           u.dial,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}
}

type handler struct {
	*Proxy
	port    int
	reverse *httputil.ReverseProxy
}

type routeKey struct{}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		refuse(w, http.StatusMethodNotAllowed, "")
		return
	}
	if r.TLS != nil && r.TLS.ServerName != "" && table.Hostname(r.TLS.ServerName) != table.Hostname(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "The host of the request is not that of the connection.")
		return
	}
	route, ok := h.find(r)
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, "The path is ambiguous.")
		return
	case route == nil:
		h.elsewhere(w, r)
		return
	case r.TLS == nil && !route.Plain:
		h.redirect(w, r, h.port)
		return
	}
	if route.Maintenance {
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusServiceUnavailable, "The service is down for maintenance.")
		return
	}
	h.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, route)))
}

// find returns the route of a request; nil if there is none. It reports false where a
// server that cleans the path would find another route than one that does not.
func (h *handler) find(r *http.Request) (*table.Route, bool) {
	t := h.Table()
	route, _ := t.HTTP(h.port, table.Hostname(r.Host), r.URL.Path)
	if simple(r.URL.Path) {
		return route, true
	}
	clean := path.Clean("/" + strings.ReplaceAll(r.URL.Path, `\`, "/"))
	other, _ := t.HTTP(h.port, table.Hostname(r.Host), clean)
	return route, other == route
}

// simple reports whether a path has nothing that servers clean in different ways.
func simple(path string) bool {
	return !strings.Contains(path, "//") && !strings.Contains(path, "/.") && !strings.Contains(path, `\`)
}

// elsewhere answers a request without a route: with a redirect to https, where port 80
// has no route of its own.
func (h *handler) elsewhere(w http.ResponseWriter, r *http.Request) {
	if h.port == 80 && r.TLS == nil {
		if route, _ := h.Table().HTTP(443, table.Hostname(r.Host), r.URL.Path); route != nil && !route.Plain {
			h.redirect(w, r, 443)
			return
		}
	}
	refuse(w, http.StatusNotFound, "")
}

// redirect sends the client to the same URL over https.
func (h *handler) redirect(w http.ResponseWriter, r *http.Request, port int) {
	host := table.Hostname(r.Host)
	if listening := h.options.Listening(port); listening != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(listening))
	}
	to := url.URL{Scheme: "https", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusPermanentRedirect)
}

// rewrite makes the request that the container receives.
func (h *handler) rewrite(pr *httputil.ProxyRequest) {
	route := pr.In.Context().Value(routeKey{}).(*table.Route)
	pr.Out.URL.Scheme, pr.Out.URL.Host = "http", route.Service // the transport chooses the address
	pr.Out.Host = pr.In.Host
	pr.SetXForwarded()
	if prefix := route.Endpoint.Path; route.Strip && prefix != "" {
		pr.Out.URL.Path = rooted(strings.TrimPrefix(pr.Out.URL.Path, prefix))
		if raw, found := strings.CutPrefix(pr.Out.URL.RawPath, prefix); found {
			pr.Out.URL.RawPath = rooted(raw)
		} else {
			pr.Out.URL.RawPath = ""
		}
	}
}

func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// failed answers a request that no upstream has answered. What failed is for the log:
// the page says nothing of the inside.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	route := r.Context().Value(routeKey{}).(*table.Route)
	h.options.Log.Warn("no upstream has answered", "service", route.Service, "components", route.Components, "error", err)
	if errors.Is(err, errNoUpstream) {
		refuse(w, http.StatusServiceUnavailable, "The service does not run at the moment.")
		return
	}
	refuse(w, http.StatusBadGateway, "The service does not answer.")
}

// refuse answers a request with a page of one line.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strconv.Itoa(status)+" "+http.StatusText(status)+"\n"+text+"\n")
}

// transport sends a request to an upstream of its route. One that cannot be connected
// to has received nothing, so that the next one is tried.
type transport struct {
	proxy *Proxy
	base  *http.Transport
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	route := r.Context().Value(routeKey{}).(*table.Route)
	body := r.Body
	turn := turn{proxy: t.proxy, seeker: fixed{route}}
	for {
		u, err := turn.next(r.Context())
		if err != nil {
			return nil, err
		}
		if body != nil && body != http.NoBody {
			r.Body = &openBody{ReadCloser: body} // which a failed dial must not close
		}
		r.URL.Host = u.address
		response, err := u.http1.RoundTrip(r)
		if err == nil {
			response.Body = counted(response.Body, u)
			return response, nil
		}
		u.end()
		if !undelivered(err) {
			return nil, err
		}
		turn.failed(u, err)
	}
}

type fixed struct{ route *table.Route }

func (f fixed) seek(s *snapshot) (*route, error) {
	e := f.route.Endpoint
	r, _ := s.table.HTTP(e.Port, e.Hostname, e.Path)
	if r == nil {
		return nil, errNoRoute
	}
	return s.of(r), nil
}

// undelivered reports whether an upstream has received nothing of a request.
func undelivered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// openBody is a request's body that is closed only if it was read; the server closes
// it in any case.
type openBody struct {
	io.ReadCloser
	read bool
}

func (b *openBody) Read(p []byte) (int, error) {
	b.read = true
	return b.ReadCloser.Read(p)
}

func (b *openBody) Close() error {
	if !b.read {
		return nil
	}
	return b.ReadCloser.Close()
}

// counted returns a body that ends the request's count when it is closed. That of an
// upgraded connection can be written, too.
func counted(body io.ReadCloser, u *upstream) io.ReadCloser {
	c := countedBody{body, sync.OnceFunc(u.end)}
	if w, ok := body.(io.Writer); ok {
		return &countedConn{c, w}
	}
	return &c
}

type countedBody struct {
	io.ReadCloser
	end func()
}

func (b *countedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

type countedConn struct {
	countedBody
	io.Writer
}

// CloseWrite ends one direction of an upgraded connection, where it can.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// buffers are those that bodies are copied with.
type buffers struct{}

func (buffers) Get() []byte  { return *bufferPool.Get().(*[]byte) }
func (buffers) Put(b []byte) { bufferPool.Put(&b) }
