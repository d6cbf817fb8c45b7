package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/server"
	"github.com/metacircular/mcp/internal/fleet"
)

func TestLimits(t *testing.T) {
	received := make(chan error, 10)
	web := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flood" {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					received <- err
					return
				}
			}
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			received <- err
		}
		_, _ = io.WriteString(w, "hello")
	})
	plain := l7(8080, "", web)
	plain.Plain = true
	e := start(t, func(o *server.Options) {
		o.Limits = server.Limits{Hello: 300 * time.Millisecond, Header: 300 * time.Millisecond, Stall: time.Second, Idle: 300 * time.Millisecond, HeaderBytes: 8 << 10}
	}, publish("shop", l7(443, "shop.internal", web), plain))
	e.secured(t, "shop.internal")
	ended := func(t *testing.T, c net.Conn) {
		t.Helper()
		_, err := io.Copy(io.Discard, c)
		var timeout net.Error
		require.False(t, assert.ErrorAs(&quiet{}, err, &timeout) && timeout.Timeout(), "the connection is still open")
	}
	t.Run("a client that sends nothing", func(t *testing.T) {
		ended(t, e.dial(t, 8080))
		ended(t, e.dial(t, 443))
	})
	t.Run("a handshake that does not go on", func(t *testing.T) {
		c := e.dial(t, 443)
		_, err := c.Write([]byte{0x16, 3, 1, 2, 0, 1})
		require.NoError(t, err)
		ended(t, c)
	})
	t.Run("a header that comes slowly", func(t *testing.T) {
		config := e.trusting(t)
		config.ServerName = "shop.internal"
		for _, c := range []func() net.Conn{
			func() net.Conn { return e.dial(t, 8080) },
			func() net.Conn { return tls.Client(e.dial(t, 443), config) },
		} {
			c := c()
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.internal\r\n")
			require.NoError(t, err)
			go func() {
				for i := 0; ; i++ {
					if _, err := fmt.Fprintf(c, "X-%d: y\r\n", i); err != nil {
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
			}()
			ended(t, c)
		}
	})
	t.Run("a connection without a further request", func(t *testing.T) {
		c := e.dial(t, 8080)
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.internal\r\n\r\n")
		require.NoError(t, err)
		ended(t, c)
	})
	t.Run("a header that is too large", func(t *testing.T) {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			request, err := http.NewRequest(http.MethodGet, "https://shop.internal/", http.NoBody)
			require.NoError(t, err)
			request.Header.Set("X", strings.Repeat("y", 20<<10))
			response, err := e.client(e.trusting(t), protocol).Do(request)
			if err == nil {
				_ = response.Body.Close()
				require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
			}
		}
	})
	t.Run("a body that stops to come", func(t *testing.T) {
		c := e.dial(t, 8080)
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.internal\r\nContent-Length: 10\r\n\r\nhalf")
		require.NoError(t, err)
		require.Error(t, <-received)
		ended(t, c)
	})
	t.Run("a body that stops to come, and is not wanted", func(t *testing.T) {
		c := e.dial(t, 443)
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.internal\r\nContent-Length: 10\r\n\r\nhalf")
		require.NoError(t, err)
		ended(t, c)
	})
	t.Run("a body that comes slowly arrives", func(t *testing.T) {
		c := e.dial(t, 8080)
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.internal\r\nContent-Length: 20\r\n\r\n")
		require.NoError(t, err)
		for range 20 {
			time.Sleep(80 * time.Millisecond)
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusOK, response.StatusCode)
	})
	t.Run("a client that accepts nothing of a response", func(t *testing.T) {
		c := e.dial(t, 8080)
		_, err := io.WriteString(c, "GET /flood HTTP/1.1\r\nHost: shop.internal\r\n\r\n")
		require.NoError(t, err)
		require.Error(t, <-received)
	})
}

// quiet ignores the failures of an assertion.
type quiet struct{}

func (*quiet) Errorf(string, ...any) {}

// An edge listens on the ports of its routes, and on no other socket.
func TestNothingElseListens(t *testing.T) {
	web := upstream(t, says("hello"))
	plain := l7(8080, "", web)
	plain.Plain = true
	of := spec{Data: t.TempDir(), Publications: []fleet.Publication{publish("shop", l7(443, "shop.internal", web), plain)}}
	of.Ports = freePorts(t, of.Publications)
	p := startProcess(t, of)
	tcp, udp := listening(t, p.Process.Pid, "tcp", "tcp6"), listening(t, p.Process.Pid, "udp", "udp6")
	require.ElementsMatch(t, []int{of.Ports[80], of.Ports[443], of.Ports[8080]}, tcp)
	require.ElementsMatch(t, []int{of.Ports[443]}, udp)
}

// listening returns the ports on which a process listens.
func listening(t *testing.T, pid int, networks ...string) (ports []int) {
	t.Helper()
	mine := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil {
			mine[strings.Trim(strings.TrimPrefix(to, "socket:"), "[]")] = true
		}
	}
	for _, network := range networks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, network))
		require.NoError(t, err)
		for _, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line) // 1: local address, 3: state, 9: inode
			if len(fields) < 10 || !mine[fields[9]] || !slices.Contains([]string{"0A", "07"}, fields[3]) {
				continue
			}
			_, port, _ := strings.Cut(fields[1], ":")
			number, err := strconv.ParseUint(port, 16, 16)
			require.NoError(t, err)
			ports = append(ports, int(number))
		}
	}
	return ports
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.pem")
	selfSigned(t, path, time.Hour, "shop.example", "*.shop.example")
	web := upstream(t, says("hello"))
	e := start(t, func(o *server.Options) { o.Files = []string{path} },
		publish("shop", l7(443, "shop.example", web), l7(443, "*.shop.example", web), l7(443, "a.shop.example", web), l7(443, "other.example", web)))
	e.secured(t, "shop.example", "*.shop.example", "a.shop.example", "other.example")
	for _, c := range e.Certificates() {
		require.Equal(t, c.Hostname != "other.example", c.Issuer == "of the operator", "%+v", c)
	}
	first := served(t, e, "a.shop.example")
	require.Equal(t, first, served(t, e, "shop.example"))

	selfSigned(t, path, 2*time.Hour, "shop.example", "*.shop.example")
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.NotEqual(c, first, served(c, e, "shop.example")) }, time.Minute, 50*time.Millisecond)

	// A file that is damaged is a problem, and leaves what it had.
	second := served(t, e, "shop.example")
	require.NoError(t, os.WriteFile(path, []byte("no certificate"), 0o600))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Len(c, e.Problems(), 1)
		require.Contains(c, e.Problems()[0], "edge.certificates: "+path)
		require.Contains(c, e.Certificates()[len(e.Certificates())-1].Problem, path)
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, second, served(t, e, "shop.example"))
}
