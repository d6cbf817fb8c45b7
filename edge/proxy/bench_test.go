package proxy_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
)

// still starts an upstream that answers 40 bytes without allocating anything.
func still(b *testing.B) string {
	const text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\nContent-Length: 40\r\n\r\n"
	answer := []byte(text + strings.Repeat("x", 40))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 { // the end of the headers
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// bare is the library's reverse proxy, as one would write it.
func bare(upstream string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: upstream})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute, DisableCompression: true},
		BufferPool: &buffers{sync.Pool{New: func() any {
			buffer := make([]byte, 32<<10)
			return &buffer
		}}},
	}
}

type buffers struct{ sync.Pool }

func (p *buffers) Get() []byte  { return *p.Pool.Get().(*[]byte) }
func (p *buffers) Put(b []byte) { p.Pool.Put(&b) }

// processor returns the processor time that the process has used. It says more than the
// time that has passed where other processes run beside it.
func processor() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkProxy compares the library's reverse proxy with the edge's, which has a
// table of some hostnames. Client and upstream allocate nothing.
func BenchmarkProxy(b *testing.B) {
	upstream := still(b)
	handlers := []struct {
		name string
		http.Handler
	}{{"bare", bare(upstream)}}
	for _, hostnames := range []int{1, 100, 1000} {
		f := newFront(b, proxy.Options{Access: func(proxy.Access) {}})
		for i := range hostnames {
			f.publish(fmt.Sprint("s", i), plain(fmt.Sprintf("s%d.shop.example", i), "", upstream),
				fleet.EdgeRoute{Endpoint: fleet.Endpoint{Port: 80, Protocol: fleet.ProtocolHTTP, Hostname: fmt.Sprintf("s%d.shop.example", i), Path: "/api"}})
		}
		handlers = append(handlers, struct {
			name string
			http.Handler
		}{fmt.Sprint("hostnames=", hostnames), f.HTTP(80)})
	}
	for _, h := range handlers {
		b.Run(h.name, func(b *testing.B) {
			address := start(b, newServer(h.Handler), nil)
			request := []byte("GET /a/b HTTP/1.1\r\nHost: s0.shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
			b.ReportAllocs()
			before := processor()
			defer func() { b.ReportMetric(float64(processor()-before)/float64(b.N), "cpu-ns/op") }()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", address)
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				r := bufio.NewReader(c)
				for pb.Next() {
					if _, err := c.Write(request); err != nil {
						b.Error(err)
						return
					}
					for {
						line, err := r.ReadSlice('\n')
						if err != nil {
							b.Error(err)
							return
						}
						if len(line) == 2 {
							break
						}
					}
					if _, err := r.Discard(40); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
