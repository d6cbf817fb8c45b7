package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
)

func TestCountsAndTheAccessLog(t *testing.T) {
	log := make(chan proxy.Access, 16)
	f := newFront(t, proxy.Options{Access: func(a proxy.Access) { log <- a }})
	container := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(pattern(1000))
	})
	f.publish("shop", plain("shop.example", "", container))
	address := f.listen(80)
	get(t, address, "shop.example", "/a%2Fb?token=secret", "User-Agent", "test")
	a := receive(t, log)
	require.NotZero(t, a.Begun)
	require.Positive(t, a.Duration)
	a.Begun, a.Duration = proxy.Access{}.Begun, 0
	require.Equal(t, proxy.Access{
		Service: "shop", Route: "web", Endpoint: "shop.example:80", Protocol: "HTTP/1.1", Port: 80, Method: "GET", Host: "shop.example", Path: "/a%2Fb", UserAgent: "test",
		Status: 200, Bytes: 1000, Client: netip.MustParseAddr("127.0.0.1"), Upstream: container,
	}, a)
	get(t, address, "shop.example", "/missing")
	get(t, address, "unknown.example", "/")
	receive(t, log)
	require.Equal(t, proxy.Access{Status: 404}.Status, receive(t, log).Status)

	counts := f.Counts()
	require.Len(t, counts, 2)
	require.Equal(t, [6]uint64{4: 1}, counts[0].Requests)
	require.Equal(t, "shop", counts[1].Service)
	require.Equal(t, [6]uint64{2: 1, 4: 1}, counts[1].Requests)
	require.Equal(t, uint64(2000), counts[1].Bytes)
	require.Positive(t, counts[1].Seconds)
	require.Zero(t, counts[1].Open)
	var measured uint64
	for _, n := range counts[1].Latency {
		measured += n
	}
	require.Equal(t, uint64(2), measured)
	require.Len(t, counts[1].Latency, len(proxy.Buckets)+1)

	f.publish("blog", plain("blog.example", "", container))
	require.Len(t, f.Counts(), 3)
	f.publish("shop", plain("shop.example", "/new", container))
	require.Equal(t, uint64(2000), f.Counts()[2].Bytes, "a change keeps the counts")
	f.publish("shop")
	require.Len(t, f.Counts(), 2, "a service that is gone has none")
}

func TestTheAccessLogSaysWhatWasReceivedAndWhyThereWasNoAnswer(t *testing.T) {
	log := make(chan proxy.Access, 16)
	f := newFront(t, proxy.Options{Access: func(a proxy.Access) { log <- a }})
	echo := upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	db := fleet.EdgeRoute{Endpoint: fleet.Endpoint{Port: 5432, Protocol: fleet.ProtocolTCP}, Name: "sql", Upstreams: []string{closed(t)}}
	f.publish("shop", plain("shop.example", "", echo), plain("down.example", "", closed(t)), db)
	address := f.listen(80)
	response, err := http.DefaultTransport.RoundTrip(post(t, address, "/", strings.NewReader("hello")))
	require.NoError(t, err)
	response.Body.Close()
	a := receive(t, log)
	require.Equal(t, int64(5), a.Received)
	require.Equal(t, int64(5), a.Bytes)
	require.NoError(t, a.Err)

	get(t, address, "down.example", "/")
	require.ErrorContains(t, receive(t, log).Err, "connection refused")

	client, server := net.Pipe()
	defer client.Close()
	require.Error(t, f.Conn(t.Context(), 5432, "", server))
	a = receive(t, log)
	require.Equal(t, "sql", a.Route)
	require.Equal(t, ":5432/tcp", a.Endpoint)
	require.ErrorContains(t, a.Err, "connection refused")
}

func TestOpenConnectionsAreCounted(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", sockets(t)))
	_, c := socket(t, f.listen(80), "/")
	require.Equal(t, int64(1), f.Counts()[1].Open)
	require.NoError(t, c.CloseWrite())
	eventually(t, "it has ended", func() bool { return f.Counts()[1].Open == 0 })
	require.Equal(t, [6]uint64{1: 1}, f.Counts()[1].Requests)
	require.Equal(t, [13]uint64{}, f.Counts()[1].Latency)
}

// Ten thousand publications of a hundred services leave nothing behind.
func TestMemoryIsFlatInTenThousandPublications(t *testing.T) {
	f := newFront(t, proxy.Options{})
	container := named(t, "site")
	address := f.listen(80)
	heap := func() uint64 {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		runtime.GC()
		runtime.GC() // what pools have kept for one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	for i := range 10000 {
		service := fmt.Sprint("s", i%100)
		host := service + ".example"
		f.publish(service, plain(host, "", container, fmt.Sprintf("127.0.1.%d:%d", i%250+1, 1000+i)),
			fleet.EdgeRoute{Endpoint: fleet.Endpoint{Port: 1000 + i%100, Protocol: fleet.ProtocolTCP}, Upstreams: []string{fmt.Sprintf("127.0.2.1:%d", i+1)}})
		if i%100 == 0 {
			response, body := get(t, address, host, "/")
			require.Equal(t, 200, response.StatusCode, body)
		}
		if i == 999 {
			before = heap()
		}
	}
	after := heap()
	t.Logf("after 1,000 publications: %d KB, after 10,000: %d KB", before>>10, after>>10)
	require.Less(t, after, before+before/4+256<<10)
	require.Equal(t, 201, f.Known())
	require.Len(t, f.Counts(), 101)
	require.Len(t, f.Table().Routes(), 200)
	require.Equal(t, 0, strings.Count(fmt.Sprint(f.Active()), ":"))
}
