package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
)

// tcp returns an l4 route on port 5432.
func tcp(upstreams ...string) fleet.EdgeRoute {
	return fleet.EdgeRoute{
		Endpoint: fleet.Endpoint{Port: 5432, Protocol: fleet.ProtocolTCP}, Name: "db", Upstreams: upstreams,
	}
}

// accept passes the connections of a listener to Conn and returns its address, and
// what Conn has returned.
func (f *front) accept(port int, serverName string) (string, chan error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	f.t.Cleanup(func() { l.Close() })
	ended := make(chan error, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { ended <- f.Conn(context.Background(), port, serverName, c) }()
		}
	}()
	return l.Addr().String(), ended
}

// echoes starts a container that sends a prefix, then back what it receives, and then
// "bye" when the client has ended its direction.
func echoes(t testing.TB, prefix string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, prefix)
				_, _ = io.Copy(c, c)
				_, _ = io.WriteString(c, "bye")
			}()
		}
	}()
	return l.Addr().String()
}

func TestAConnection(t *testing.T) {
	f := newFront(t, proxy.Options{})
	container := echoes(t, "")
	f.publish("shop", tcp(closed(t), container))
	address, ended := f.accept(5432, "")
	for range 4 { // whichever upstream comes first
		c := dial(t, address)
		data := pattern(1 << 20)
		go func() {
			_, _ = c.Write(data)
			_ = c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(append(data, "bye"...), got), "each direction ends alone")
		require.NoError(t, receive(t, ended))
	}
	require.Empty(t, f.Active())
	counts := f.Counts()
	require.Equal(t, "shop", counts[1].Service)
	require.Equal(t, uint64(4), counts[1].Connections)
	require.Equal(t, uint64(4*(1<<20+3)), counts[1].Bytes)
}

func TestAConnectionThatIsRefused(t *testing.T) {
	f := newFront(t, proxy.Options{HoldTime: 50 * time.Millisecond})
	address, ended := f.accept(5432, "db.example")
	refused := func(why string) {
		c := dial(t, address)
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.ErrorContains(t, receive(t, ended), why)
	}
	refused("no route")
	f.publish("shop", tcp())
	refused("no upstream")
	f.publish("shop", tcp(closed(t)))
	refused("connection refused")
	r := tcp(echoes(t, ""))
	r.Allow = []string{"192.0.2.0/24"}
	f.publish("shop", r)
	refused("not allowed")
	r = tcp(echoes(t, ""))
	r.Maintenance = true
	f.publish("shop", r)
	refused("maintenance")
	r.Maintenance, r.Held = false, true
	f.publish("shop", r)
	refused("held")
}

func TestAHeldConnectionWaits(t *testing.T) {
	f := newFront(t, proxy.Options{})
	r := tcp(closed(t))
	r.Held = true
	f.publish("shop", r)
	address, _ := f.accept(5432, "")
	c := dial(t, address)
	eventually(t, "it is held", func() bool { return f.Held() == 1 })
	f.publish("shop", tcp(echoes(t, "welcome\n")))
	require.Equal(t, "welcome\n", line(t, bufio.NewReader(c)))
}

func TestServerNamesChooseTheUpstream(t *testing.T) {
	f := newFront(t, proxy.Options{})
	var routes []fleet.EdgeRoute
	for _, name := range []string{"a.example", "*.a.example", ""} {
		r := tcp(echoes(t, name+"\n"))
		r.Endpoint.Hostname = name
		routes = append(routes, r)
	}
	f.publish("shop", routes...)
	for name, want := range map[string]string{"a.example": "a.example", "x.A.example": "*.a.example", "b.example": "", "": ""} {
		address, _ := f.accept(5432, name)
		require.Equal(t, want+"\n", line(t, bufio.NewReader(dial(t, address))), name)
	}
}

func TestTheProxyProtocol(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	headers := make(chan *proxyproto.Header, 1)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			header, err := proxyproto.Read(bufio.NewReader(c))
			if err != nil {
				header = &proxyproto.Header{}
			}
			headers <- header
			c.Close()
		}
	}()
	f := newFront(t, proxy.Options{})
	for version, number := range map[string]byte{"v1": 1, "v2": 2} {
		r := tcp(l.Addr().String())
		r.ProxyProtocol = version
		f.publish("shop", r)
		address, _ := f.accept(5432, "")
		c := dial(t, address)
		header := receive(t, headers)
		require.Equal(t, number, header.Version)
		require.Equal(t, c.LocalAddr().String(), header.SourceAddr.String())
		require.Equal(t, address, header.DestinationAddr.String())
	}
}

func TestProxyHeaders(t *testing.T) {
	v4, v6 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1000}, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443}
	mapped := &net.TCPAddr{IP: net.ParseIP("::ffff:198.51.100.1").To16(), Port: 2}
	unix := &net.UnixAddr{Name: "/run/x"}
	for _, c := range []struct {
		from, to net.Addr
		v1       string
	}{
		{v4, mapped, "PROXY TCP4 192.0.2.1 198.51.100.1 1000 2\r\n"},
		{v6, v6, "PROXY TCP6 2001:db8::1 2001:db8::1 443 443\r\n"},
		{v4, v6, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1000 443\r\n"},
		{unix, v4, "PROXY UNKNOWN\r\n"},
		{nil, v4, "PROXY UNKNOWN\r\n"},
	} {
		require.Equal(t, c.v1, string(proxy.ProxyHeader("v1", c.from, c.to)))
		header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(proxy.ProxyHeader("v2", c.from, c.to))))
		require.NoError(t, err)
		require.Equal(t, byte(2), header.Version)
		require.Equal(t, c.v1 == "PROXY UNKNOWN\r\n", header.Command.IsLocal())
	}
	require.Empty(t, proxy.ProxyHeader("", v4, v4))
}

func TestADrainWaitsForConnectionsAndThenCutsThem(t *testing.T) {
	f := newFront(t, proxy.Options{})
	former := echoes(t, "welcome\n")
	f.publish("shop", tcp(former))
	address, ended := f.accept(5432, "")
	first, second := dial(t, address), dial(t, address)
	r1, r2 := bufio.NewReader(first), bufio.NewReader(second)
	line(t, r1)
	line(t, r2)
	f.publish("shop", tcp(echoes(t, "next\n")))
	require.Equal(t, "next\n", line(t, bufio.NewReader(dial(t, address))))
	_, err := fmt.Fprintln(first, "still there")
	require.NoError(t, err)
	require.Equal(t, "still there\n", line(t, r1))
	require.NoError(t, first.CloseWrite())
	_, err = io.ReadAll(r1)
	require.NoError(t, err)
	require.NoError(t, receive(t, ended))

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.Equal(t, map[string]int{former: 1}, f.Drain(ctx, []string{former}))
	_, err = r2.ReadByte()
	require.Error(t, err)
	require.NoError(t, receive(t, ended))
	require.Empty(t, f.Drain(within(t), []string{former}))
}

func TestAConnectionEndsWithItsContext(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", tcp(echoes(t, "")))
	ctx, cancel := context.WithCancelCause(context.Background())
	client, server := net.Pipe() // which has no CloseWrite
	ended := make(chan error, 1)
	go func() { ended <- f.Conn(ctx, 5432, "", server) }()
	_, err := io.WriteString(client, "x")
	require.NoError(t, err)
	_, err = client.Read(make([]byte, 1))
	require.NoError(t, err)
	cancel(errors.New("stop"))
	require.NoError(t, receive(t, ended))
	_, err = client.Read(make([]byte, 1))
	require.Error(t, err)
}
