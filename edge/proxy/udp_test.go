package proxy_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
)

// udp returns an l4 route on port 53.
func udp(upstreams ...string) fleet.EdgeRoute {
	return fleet.EdgeRoute{
		Endpoint: fleet.Endpoint{Port: 53, Protocol: fleet.ProtocolUDP}, Name: "dns", Upstreams: upstreams,
	}
}

// packets serves port 53 of the front, and returns its address and what Packets has returned.
func (f *front) packets(ctx context.Context) (net.Addr, chan error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(f.t, err)
	f.t.Cleanup(func() { c.Close() })
	ended := make(chan error, 1)
	go func() { ended <- f.Packets(ctx, 53, c) }()
	return c.LocalAddr(), ended
}

// answers starts a container that answers each packet with a name, the packet, and
// whence it came.
func answers(t testing.TB, name string) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(fmt.Appendf(nil, "%s %s %s", name, buffer[:n], from), from)
		}
	}()
	return c.LocalAddr().String()
}

// ask sends a packet and returns the answer's name and whence the container saw it come.
func ask(t testing.TB, c net.Conn, text string) (name, session string) {
	buffer := make([]byte, 64<<10)
	for attempt := 1; ; attempt++ { // a packet may be lost, as the first to a dead upstream is
		_, err := c.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience/20)))
		n, err := c.Read(buffer)
		if err != nil {
			require.Less(t, attempt, 20)
			continue
		}
		var got string
		_, err = fmt.Sscan(string(buffer[:n]), &name, &got, &session)
		require.NoError(t, err)
		require.Equal(t, text, got)
		return name, session
	}
}

func udpClient(t testing.TB, address net.Addr) net.Conn {
	c, err := net.Dial("udp", address.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestPacketsOfAClientAreASession(t *testing.T) {
	f := newFront(t, proxy.Options{})
	container := answers(t, "dns")
	f.publish("shop", udp(container))
	ctx, cancel := context.WithCancel(context.Background())
	address, ended := f.packets(ctx)
	one, two := udpClient(t, address), udpClient(t, address)
	name, first := ask(t, one, "a")
	require.Equal(t, "dns", name)
	_, again := ask(t, one, "b")
	require.Equal(t, first, again)
	_, other := ask(t, two, "c")
	require.NotEqual(t, first, other)
	ask(t, one, string(pattern(36)[:30])+fmt.Sprint(len(pattern(9000))))
	require.Equal(t, map[string]int{container: 2}, f.Active())
	cancel()
	require.ErrorIs(t, receive(t, ended), context.Canceled)
	eventually(t, "no session is left", func() bool { return len(f.Active()) == 0 })
}

func TestASessionEndsWhereItsUpstreamRefuses(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", udp(closed(t)))
	address, _ := f.packets(within(t))
	c := udpClient(t, address)
	_, err := c.Write([]byte("lost"))
	require.NoError(t, err)
	eventually(t, "it has a session", func() bool { return f.Counts()[1].Connections > 0 })
	f.publish("shop", udp(answers(t, "next")))
	name, _ := ask(t, c, "x")
	require.Equal(t, "next", name)
}

func TestAnIdleSessionEnds(t *testing.T) {
	f := newFront(t, proxy.Options{SessionIdle: 50 * time.Millisecond})
	f.publish("shop", udp(answers(t, "dns")))
	address, _ := f.packets(within(t))
	ask(t, udpClient(t, address), "x")
	eventually(t, "it ends", func() bool { return len(f.Active()) == 0 })
}

func TestSessionsAreBounded(t *testing.T) {
	f := newFront(t, proxy.Options{SessionMost: 3})
	container := answers(t, "dns")
	f.publish("shop", udp(container))
	address, _ := f.packets(within(t))
	oldest := udpClient(t, address)
	_, before := ask(t, oldest, "x")
	used := udpClient(t, address)
	_, kept := ask(t, used, "x")
	for range 4 {
		ask(t, udpClient(t, address), "x")
		_, still := ask(t, used, "x")
		require.Equal(t, kept, still, "one that is used is kept")
		require.LessOrEqual(t, f.Active()[container], 3)
	}
	_, after := ask(t, oldest, "x")
	require.NotEqual(t, before, after)
}

func TestPacketsThatAreRefused(t *testing.T) {
	f := newFront(t, proxy.Options{})
	container := answers(t, "dns")
	r := udp(container)
	r.Allow = []string{"192.0.2.0/24"}
	f.publish("shop", r)
	address, _ := f.packets(within(t))
	c := udpClient(t, address)
	_, err := c.Write([]byte("refused"))
	require.NoError(t, err)
	eventually(t, "it is counted", func() bool { return f.Counts()[0].Connections > 0 })
	require.Empty(t, f.Active())
	f.publish("shop", udp(container))
	name, _ := ask(t, c, "x")
	require.Equal(t, "dns", name)
}

func TestADrainCutsSessions(t *testing.T) {
	f := newFront(t, proxy.Options{})
	former := answers(t, "former")
	f.publish("shop", udp(former))
	address, _ := f.packets(within(t))
	c := udpClient(t, address)
	ask(t, c, "x")
	f.publish("shop", udp(answers(t, "next")))
	name, _ := ask(t, c, "x")
	require.Equal(t, "former", name, "a session keeps its upstream")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.Equal(t, map[string]int{former: 1}, f.Drain(ctx, []string{former}))
	name, _ = ask(t, c, "x")
	require.Equal(t, "next", name)
	require.Empty(t, f.Drain(within(t), []string{former}))
}
