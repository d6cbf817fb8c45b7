package server

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// http1 returns a server of HTTP/1.1, with and without TLS. It writes nothing to a
// connection before the first request.
func (s *Server) http1(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return s.http(h, protocols)
}

// http2 returns a server of HTTP/2, with and without TLS.
func (s *Server) http2(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return s.http(h, protocols)
}

func (s *Server) http(h http.Handler, protocols *http.Protocols) *http.Server {
	l := s.options.Limits
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: l.Header,
		IdleTimeout:       l.Idle,
		MaxHeaderBytes:    l.HeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250, SendPingTimeout: l.Idle / 2, PingTimeout: 15 * time.Second, WriteByteTimeout: l.Stall},
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// handler serves the requests to a port.
type handler struct {
	server   *Server
	port     int
	draining *atomic.Bool
	next     http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.draining.Load() && r.ProtoMajor < 3 && r.Header.Get("Upgrade") == "" {
		w.Header().Set("Connection", "close") // with HTTP/2, this sends GOAWAY
	}
	if r.TLS == nil && h.server.certificates.challenge(w, r) {
		return
	}
	if r.TLS != nil && r.ProtoMajor < 3 && h.server.quic(h.port) {
		w.Header()["Alt-Svc"] = []string{`h3=":` + strconv.Itoa(h.server.options.listening(h.port)) + `"; ma=86400`}
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		defer h.discard(http.NewResponseController(w))
	}
	h.next.ServeHTTP(w, r)
}

// discard bounds how long the server waits for the rest of a body that is not wanted.
func (h *handler) discard(c *http.ResponseController) {
	_ = c.SetReadDeadline(time.Now().Add(h.server.options.Limits.Hello))
}
