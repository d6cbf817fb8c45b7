// Package server listens for the world: on the ports of a table, with TLS that it
// arranges by itself. What arrives goes to a proxy.Proxy.
//
// Each port has its own listener, with the HTTP servers of net/http and quic-go behind
// it, so that a port comes or goes without touching the connections of another.
// Certificates are certmagic's, Caddy's library; the authority of private names is
// Caddy's PKI. Caddy's own HTTP app is not used: each change of its ports is a reload,
// which closes the idle connections of every port, where a client may be about to send
// a request, and forgets the certificates of every hostname for a moment.
//
// The first bytes of a connection decide what serves it. A TLS handshake whose server
// name has a tcp route is passed through as it came; any other is answered here, and
// its requests are served, as are those that come without TLS. A port that has only tcp
// routes is not read from if only one route can be meant, since the container may speak
// first.
//
// A server takes the sockets of a former one that runs on the same data directory, so
// that a new binary replaces an old one while clients connect. The former one closes
// none of its connections before a response has announced that.
package server
