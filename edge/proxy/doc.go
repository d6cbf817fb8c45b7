// Package proxy serves the routes of a table: HTTP requests, tcp connections and udp
// packets, each to one of the healthy containers that a publication names.
//
// What listens, and what terminates TLS, is the caller's. A publication takes effect
// for the next request: no listener and no connection is touched by it. An upstream
// that is not published any more keeps the requests and connections that it has, and
// Drain waits for them.
package proxy
