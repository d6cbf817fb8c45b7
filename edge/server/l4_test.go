package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/server"
	"github.com/metacircular/mcp/internal/fleet"
)

// container is a tcp server that speaks first, with its name, and then repeats what it
// receives.
func container(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, name+"\n")
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// secureContainer is a tcp server that answers a TLS handshake itself.
func secureContainer(t *testing.T, host string) (at string, roots *x509.CertPool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pass.pem")
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(selfSigned(t, path, time.Hour, host))
	cert, err := tls.LoadX509KeyPair(path, path)
	require.NoError(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String(), roots
}

// dial connects to a route's port of the edge.
func (e *edge) dial(t *testing.T, port int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address(e.ports[port]))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c
}

// exchange sends a line, and requires the answer.
func exchange(t *testing.T, c net.Conn, line, want string) {
	t.Helper()
	_, err := io.WriteString(c, line)
	require.NoError(t, err)
	got := make([]byte, len(want))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func TestConnectionsOfOnePort(t *testing.T) {
	web := upstream(t, says("hello"))
	at, passed := secureContainer(t, "pass.internal")
	e := start(t, nil, publish("shop",
		l7(443, "shop.internal", web), l7(443, "*.wild.internal", web),
		l4(443, fleet.ProtocolTCP, "pass.internal", at), l4(443, fleet.ProtocolTCP, "pass.wild.internal", at),
		l4(5432, fleet.ProtocolTCP, "", container(t, "db")),
		l4(5433, fleet.ProtocolTCP, "", container(t, "bare")), l4(5433, fleet.ProtocolTCP, "pass.internal", at),
		l4(5434, fleet.ProtocolTCP, "pass.internal", at),
	))
	e.secured(t, "shop.internal", "*.wild.internal")
	passing := &tls.Config{RootCAs: passed, ServerName: "pass.internal"}

	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run("requests over "+protocol+" beside a passed hostname", func(t *testing.T) {
			for _, url := range []string{"https://shop.internal/", "https://a.wild.internal/"} {
				response, text := get(t, e.client(e.trusting(t), protocol), url)
				require.Equal(t, "hello", text)
				require.Equal(t, protocol, response.proto)
			}
		})
	}
	for _, port := range []int{443, 5433, 5434} {
		t.Run("a passed hostname", func(t *testing.T) {
			exchange(t, tls.Client(e.dial(t, port), passing), "passed through", "passed through")
		})
	}
	t.Run("a passed hostname is closer than a wildcard", func(t *testing.T) {
		c := tls.Client(e.dial(t, 443), &tls.Config{InsecureSkipVerify: true, ServerName: "pass.wild.internal"})
		require.NoError(t, c.HandshakeContext(t.Context()))
		require.Equal(t, []string{"pass.internal"}, c.ConnectionState().PeerCertificates[0].DNSNames)
	})
	t.Run("a handshake in pieces of one byte", func(t *testing.T) {
		c := tls.Client(&piecewise{e.dial(t, 443)}, passing)
		exchange(t, c, "in pieces", "in pieces")
	})
	t.Run("a handshake in many records", func(t *testing.T) {
		c := tls.Client(&splitting{Conn: e.dial(t, 443)}, passing)
		exchange(t, c, "in records", "in records")
	})
	t.Run("a container that speaks first", func(t *testing.T) {
		exchange(t, e.dial(t, 5432), "", "db\n")
		exchange(t, e.dial(t, 5432), "\x16\x03\x01", "db\n\x16\x03\x01")
	})
	t.Run("a container that speaks first, beside a passed hostname", func(t *testing.T) {
		exchange(t, e.dial(t, 5433), "", "bare\n")
		exchange(t, e.dial(t, 5433), "no TLS", "bare\nno TLS")
		c := e.dial(t, 5433) // what is no handshake arrives as it came
		_, err := io.WriteString(c, "\x16\x03\x01\x00\x02")
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).CloseWrite())
		text, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "bare\n\x16\x03\x01\x00\x02", string(text))
	})
	t.Run("no TLS where each route has a hostname", func(t *testing.T) {
		c := e.dial(t, 5434)
		_, err := io.WriteString(c, "no TLS")
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
	})
	t.Run("a server name without a route", func(t *testing.T) {
		for _, port := range []int{443, 5434} {
			c := tls.Client(e.dial(t, port), &tls.Config{InsecureSkipVerify: true, ServerName: "other.internal"})
			require.Error(t, c.HandshakeContext(t.Context()))
		}
	})
}

// piecewise writes one byte at a time.
type piecewise struct{ net.Conn }

func (p *piecewise) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := p.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// splitting splits the first record that is written, the ClientHello, into records of
// 7 bytes.
type splitting struct {
	net.Conn
	split bool
}

func (s *splitting) Write(b []byte) (int, error) {
	if s.split {
		return s.Conn.Write(b)
	}
	s.split = true
	var records bytes.Buffer
	for body := b[5:]; len(body) > 0; {
		n := min(7, len(body))
		records.Write([]byte{b[0], b[1], b[2], 0, byte(n)})
		records.Write(body[:n])
		body = body[n:]
	}
	if _, err := s.Conn.Write(records.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

func TestUDP(t *testing.T) {
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = u.Close() })
	go func() {
		packet := make([]byte, 2048)
		for {
			n, from, err := u.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(append([]byte("re: "), packet[:n]...), from)
		}
	}()
	e := start(t, nil, publish("dns", l4(53, fleet.ProtocolUDP, "", u.LocalAddr().String())))
	c, err := net.Dial("udp", address(e.ports[53]))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	exchange(t, c, "query", "re: query")
	require.Empty(t, e.Apply(e.proxy.Publish(publish("dns"))))
	require.Empty(t, e.Listening())
}

func TestBalancer(t *testing.T) {
	web := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	})
	plain := l7(8080, "", web)
	plain.Plain = true
	trusted := func(networks ...string) func(*server.Options) {
		return func(o *server.Options) {
			for _, n := range networks {
				o.Balancers = append(o.Balancers, netip.MustParsePrefix(n))
			}
		}
	}
	request := "GET / HTTP/1.1\r\nHost: shop.internal\r\nConnection: close\r\n\r\n"
	header := "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"
	ask := func(t *testing.T, e *edge, sent string) (int, string) {
		t.Helper()
		c := e.dial(t, 8080)
		_, err := io.WriteString(c, sent)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0, ""
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	t.Run("the header of a balancer names the client", func(t *testing.T) {
		e := start(t, trusted("192.0.2.0/24", "127.0.0.0/8"), publish("shop", plain))
		status, text := ask(t, e, header+request)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "192.0.2.7", text)
		for _, bad := range []string{request, "PROXY TCP4 x y 1 2\r\n" + request, strings.Repeat("P", 5000)} {
			status, _ := ask(t, e, bad)
			require.Zero(t, status, "%.30q", bad)
		}
	})
	t.Run("the header of any other client is none", func(t *testing.T) {
		e := start(t, trusted("192.0.2.0/24"), publish("shop", plain))
		status, text := ask(t, e, request)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "127.0.0.1", text)
		status, _ = ask(t, e, header+request)
		require.Equal(t, http.StatusBadRequest, status)
	})
}
