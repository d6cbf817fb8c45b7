package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
)

const handshake = "GET %s HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// sockets starts a container that changes the protocol and echoes, line by line.
func sockets(t testing.TB) string {
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			_, _ = io.WriteString(w, "no upgrade: "+r.Header.Get("Upgrade"))
			return
		}
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfirst\n")
		for {
			line, err := buffered.ReadString('\n')
			if err != nil {
				_, _ = io.WriteString(c, "bye\n")
				return
			}
			_, _ = io.WriteString(c, line)
		}
	})
}

// socket opens a websocket to an address.
func socket(t testing.TB, address, path string) (*bufio.Reader, interface {
	io.Writer
	CloseWrite() error
}) {
	c := dial(t, address)
	_, err := fmt.Fprintf(c, handshake, path, "websocket")
	require.NoError(t, err)
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	defer response.Body.Close() // which is empty: the stream follows the headers
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Equal(t, "websocket", response.Header.Get("Upgrade"))
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", response.Header.Get("Sec-Websocket-Accept"))
	require.Equal(t, "first\n", line(t, r))
	return r, c
}

func line(t testing.TB, r *bufio.Reader) string {
	text, err := r.ReadString('\n')
	require.NoError(t, err)
	return text
}

func TestAWebsocket(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", sockets(t)))
	r, c := socket(t, f.listen(80), "/chat")
	for i := range 3 {
		_, err := fmt.Fprintln(c, i)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintln(i), line(t, r))
	}
	require.NoError(t, c.CloseWrite())
	require.Equal(t, "bye\n", line(t, r), "each direction ends alone")
	_, err := r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	eventually(t, "nothing is left of it", func() bool { return len(f.Active()) == 0 })
}

func TestNoUpgradeToHTTP2(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", sockets(t)))
	address := f.listen(80)
	for _, protocol := range []string{"h2c", "H2C", "HTTP/2.0", "websocket, h2c"} {
		response, body := raw(t, address, fmt.Sprintf(handshake, "/", protocol))
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, "no upgrade: ", body)
	}
}

func TestAnUpgradeThatWasNotAskedForIsRefused(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = c.Close()
	})))
	response, _ := get(t, f.listen(80), "shop.example", "/")
	require.Equal(t, 502, response.StatusCode)
}

func TestAChangeOfOneServiceCutsNoWebsocketOfAnother(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", sockets(t)))
	address := f.listen(80)
	r, c := socket(t, address, "/")
	for i := range 1000 {
		f.publish("blog", plain("blog.example", "", fmt.Sprintf("127.0.0.1:%d", 10000+i)))
		if i%100 == 0 {
			_, err := fmt.Fprintln(c, i)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintln(i), line(t, r))
		}
	}
	_, err := fmt.Fprintln(c, "still there")
	require.NoError(t, err)
	require.Equal(t, "still there\n", line(t, r))
	require.Equal(t, 2, f.Known(), "of former upstreams nothing is kept")
}

func TestADrainThatTimesOutCutsTheWebsocketsOfItsUpstreamAlone(t *testing.T) {
	f := newFront(t, proxy.Options{})
	former, other := sockets(t), sockets(t)
	f.publish("shop", plain("shop.example", "", former))
	f.publish("blog", plain("shop.example", "/blog", other))
	address := f.listen(80)
	cut, _ := socket(t, address, "/")
	kept, c := socket(t, address, "/blog")
	f.publish("shop", plain("shop.example", "", sockets(t)))

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.Equal(t, map[string]int{former: 1, other: 1}, f.Drain(ctx, []string{former, other}))
	_, err := cut.ReadByte()
	require.Error(t, err)
	_, err = fmt.Fprintln(c, "still there")
	require.NoError(t, err)
	require.Equal(t, "still there\n", line(t, kept), "what is published is not cut")
	require.Empty(t, f.Drain(within(t), []string{former}))
}
