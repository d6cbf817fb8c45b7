package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseWrk(t *testing.T) {
	rate, p99, err := parseWrk(`Running 2s test @ http://127.0.0.1:18080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   320.46us  500.00us  12.03ms   95.40%
    Req/Sec   124.10k     9.03k  137.01k    80.00%
  Latency Distribution
     50%  230.00us
     75%  301.00us
     90%  520.00us
     99%    2.15ms
  247005 requests in 2.00s, 40.05MB read
Requests/sec: 123482.90
Transfer/sec:     20.02MB
`)
	require.NoError(t, err)
	require.InDelta(t, 123482.9, rate, 0)
	require.InDelta(t, 2.15, p99, 1e-9)

	_, _, err = parseWrk("     99%    2.15ms\n  Non-2xx or 3xx responses: 12\nRequests/sec: 10.00\n")
	require.ErrorContains(t, err, "Non-2xx or 3xx responses: 12")
	_, _, err = parseWrk("nothing")
	require.ErrorContains(t, err, "no figures")
}
