package server

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// packets serves the udp packets to one port: by a udp route, or as HTTP/3.
type packets struct {
	conn  *net.UDPConn
	route bool // whether a udp route serves it
	ended chan struct{}
	stop  func()
	wait  func(context.Context) // until the clients have ended what they do
}

// newPackets serves what the socket receives.
func newPackets(s *Server, number int, c *net.UDPConn, route bool) *packets {
	p := &packets{conn: c, route: route, ended: make(chan struct{}), wait: func(context.Context) {}}
	if route {
		ctx, cancel := context.WithCancel(s.life)
		p.stop = cancel
		go func() {
			defer close(p.ended)
			if err := s.options.Proxy.Packets(ctx, number, c); err != nil && ctx.Err() == nil {
				s.log.Warn("packets are not served any more", "port", number, "error", err)
			}
		}()
		return p
	}
	l := s.options.Limits
	server := &http3.Server{
		Handler:        &handler{server: s, port: number, draining: new(atomic.Bool), next: s.options.Proxy.HTTP(number)},
		TLSConfig:      http3.ConfigureTLSConfig(s.certificates.config()),
		QUICConfig:     &quic.Config{HandshakeIdleTimeout: l.Hello, MaxIdleTimeout: 30 * time.Second, MaxIncomingStreams: 250, MaxIncomingUniStreams: 10},
		IdleTimeout:    l.Idle,
		MaxHeaderBytes: l.HeaderBytes,
	}
	p.stop = func() { _ = server.Close() }
	p.wait = func(ctx context.Context) { _ = server.Shutdown(ctx) } // which sends GOAWAY
	go func() {
		defer close(p.ended)
		_ = server.Serve(c)
	}()
	return p
}

// close ends what the socket serves. A client of HTTP/3 connects again.
func (p *packets) close() {
	p.stop()
	_ = p.conn.Close()
	<-p.ended
}

// drain lets clients end what they do, until ctx ends.
func (p *packets) drain(ctx context.Context) {
	p.wait(ctx)
	p.close()
}
