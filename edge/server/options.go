package server

import (
	"cmp"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fault"
)

// Options configure a Server.
type Options struct {
	// Proxy serves what arrives.
	Proxy *proxy.Proxy
	// Address is the IP address of this host on which the server listens; "" means all.
	Address string
	// Ports maps the port of a route to the one that is listened on instead.
	Ports map[int]int
	// Data is a directory. The server keeps certificates in Data/certificates, and the
	// root certificate of its own authority in Data/ca/root.crt.
	Data string
	// Storage keeps certificates, the authority's keys, and the answers to challenges;
	// nil means Data/certificates. Edges that share one share all of it, except what the
	// own authority signs, which is in Data/certificates. The rest is there, too, so that
	// it is served while the storage is away.
	Storage certmagic.Storage
	// ACME is the authority of public hostnames; nil means that the server's own
	// authority signs for every hostname.
	ACME *ACME
	// Files are PEM files, each with a certificate, its chain and its key. They are
	// read again when they change. The hostnames that they cover need no authority.
	Files []string
	// Balancers are the networks of load balancers. A connection from one begins with
	// a PROXY header, which names the client; any other connection has none.
	Balancers []netip.Prefix
	// Limits bound what a client may take; zero values mean the defaults.
	Limits Limits
	// Renewal is how certificates are renewed; zero values mean the defaults.
	Renewal Renewal
	// Log receives what an operator should know; nil for nothing.
	Log *slog.Logger

	cache certmagic.Storage // of certificates; nil if Storage is the directory itself
}

// ACME is an authority that speaks RFC 8555.
type ACME struct {
	// Directory is its URL.
	Directory string
	// Email is where the authority announces what concerns the account; "" for none.
	Email string
	// Roots have signed the certificate of the authority's own server; nil means those
	// of this host.
	Roots *x509.CertPool
	// DNS answers DNS-01 challenges, instead of HTTP-01 and TLS-ALPN-01; nil for none.
	// Wildcard hostnames need it.
	DNS *DNS
}

// DNS is how DNS-01 challenges are answered.
type DNS struct {
	Provider certmagic.DNSProvider
	// Resolvers are the DNS servers, as host:port, that are asked whether a record has
	// appeared; empty means those of this host.
	Resolvers []string
}

// Limits bound what a client may take. The zero value of each means its default.
type Limits struct {
	// Hello is how long a client may take to say what it wants: for a PROXY header, a
	// TLS handshake, or the first bytes of a connection. Default 10 s.
	Hello time.Duration
	// Silence is how long the server waits for the first bytes of a connection to a
	// port where a protocol may be served in which the server speaks first. Default 1 s.
	Silence time.Duration
	// Header is how long the header of a request may take. Default 10 s.
	Header time.Duration
	// HeaderBytes is the size of the largest header. Default 64 KiB.
	HeaderBytes int
	// Stall is how long a client may accept nothing of what it is sent. The proxy bounds
	// how long it may send nothing of a body. Default 2 minutes.
	Stall time.Duration
	// Idle is how long a connection may be without a request. Default 2 minutes.
	Idle time.Duration
}

// Renewal is how certificates are renewed. The zero value of each means its default.
type Renewal struct {
	// Window is the part of a certificate's lifetime, at its end, in which it is
	// renewed. Default 1/3. An ACME authority may advise another time.
	Window float64
	// Check is how often certificates are checked. Default 10 minutes.
	Check time.Duration
	// Retry is how long to wait after a first failure; the time doubles with each, up
	// to an hour. Default 1 minute.
	Retry time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Proxy == nil || o.Data == "" {
		return o, fault.New(fault.Invalid, "a server needs a proxy and a data directory")
	}
	local := &certmagic.FileStorage{Path: filepath.Join(o.Data, "certificates")}
	if o.Storage == nil {
		o.Storage = local
	} else {
		o.cache = local
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	l := &o.Limits
	l.Hello = cmp.Or(l.Hello, 10*time.Second)
	l.Silence = cmp.Or(l.Silence, time.Second)
	l.Header = cmp.Or(l.Header, proxy.ReadHeaderTimeout)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, proxy.MaxHeaderBytes)
	l.Stall = cmp.Or(l.Stall, 2*time.Minute)
	l.Idle = cmp.Or(l.Idle, proxy.IdleTimeout)
	r := &o.Renewal
	r.Check = cmp.Or(r.Check, certmagic.DefaultRenewCheckInterval)
	r.Retry = cmp.Or(r.Retry, time.Minute)
	return o, nil
}

// listening returns the port that is listened on for a route's port.
func (o Options) listening(port int) int { return cmp.Or(o.Ports[port], port) }
