// Package proxy serves the routes of a table: HTTP requests, tcp connections and udp
// packets, each to one of the healthy containers that a publication names.
//
// What listens, and what terminates TLS, is the caller's. A publication takes effect
// for the next request: no listener and no connection is touched by it. An upstream
// that is not published any more keeps the requests, connections and sessions that it
// has; Drain waits for them, and its idle connections are closed at once.
//
// A request is counted at its upstream before it is compared with the current table,
// so that Drain misses none. Of several upstreams the one with the fewest requests is
// chosen. One that cannot be connected to has received nothing: the next one is tried,
// and that one is set aside for two seconds. A delivered request is not repeated,
// except, as in net/http, an idempotent one without a body whose idle connection was
// closed before a byte of the answer. A container has five minutes for the headers of
// its answer, and any time for the rest; with h2c it has any time for both.
//
// A client names neither itself nor the route: what it says in X-Forwarded-* and the
// like is replaced unless it is a trusted proxy, a path that servers read in different
// ways is refused if these would lead to different routes, and an upgrade to HTTP/2
// without TLS is not passed on.
package proxy
