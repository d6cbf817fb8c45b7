// Command bench measures mcp-edge beside plain Caddy, nginx and HAProxy: the same
// clients, the same upstream and the same hostnames, in turns.
//
// It needs wrk, nginx and haproxy, for which Debian has packages. Each round loads
// each proxy once for a few seconds, each time beginning with a different one, and the
// report has the medians of the rounds: requests per second, the 99th percentile of
// the latency, and both as ratios to plain Caddy.
//
// In the folder edge:
//
//	go run ./bench -edge ../bin/mcp-edge -rounds 10
package main
