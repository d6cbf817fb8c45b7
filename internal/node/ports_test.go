package node_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/node"
)

func TestFreePorts(t *testing.T) {
	low, high, err := node.EphemeralRange()
	require.NoError(t, err)
	require.Less(t, low, high)

	t.Run("ports are distinct, in the range, and not ephemeral", func(t *testing.T) {
		ports, err := node.PortOptions{}.FreePorts(500)
		require.NoError(t, err)
		require.Len(t, ports, 500)
		seen := map[int]bool{}
		for _, port := range ports {
			require.False(t, seen[port], "port %d was found twice", port)
			seen[port] = true
			require.True(t, port >= 10000 && port <= 60000, "port %d is not in the range", port)
			require.False(t, port >= low && port <= high, "port %d is ephemeral", port)
		}
	})

	t.Run("two searches return different ports", func(t *testing.T) {
		first, err := node.PortOptions{}.FreePorts(10)
		require.NoError(t, err)
		second, err := node.PortOptions{}.FreePorts(10)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
	})

	// The following tests use ports just below the ephemeral range.
	held, free := low-2, low-1
	holders := map[string]func(address string) (interface{ Close() error }, error){
		"tcp": func(address string) (interface{ Close() error }, error) { return net.Listen("tcp4", address) },
		"udp": func(address string) (interface{ Close() error }, error) { return net.ListenPacket("udp4", address) },
	}
	for protocol, hold := range holders {
		for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
			holder, err := hold(net.JoinHostPort(host, strconv.Itoa(held)))
			require.NoError(t, err)
			t.Run("a port that is held on "+host+" for "+protocol+" is not found", func(t *testing.T) {
				found, err := node.PortOptions{Low: held, High: free, Address: "127.0.0.1"}.FreePorts(2)
				require.NoError(t, err)
				require.Equal(t, []int{free}, found)
			})
			t.Run("a range without another port is exhausted on "+host+" for "+protocol, func(t *testing.T) {
				_, err := node.PortOptions{Low: held, High: held}.FreePorts(1)
				require.True(t, fault.Is(err, fault.PortInUse), "%v", err)
			})
			require.NoError(t, holder.Close())
		}
	}

	t.Run("the ports that were found are released", func(t *testing.T) {
		ports, err := node.PortOptions{Low: held, High: free, Address: "127.0.0.1"}.FreePorts(2)
		require.NoError(t, err)
		require.ElementsMatch(t, []int{held, free}, ports)
		for _, port := range ports {
			listener, err := net.Listen("tcp4", net.JoinHostPort("0.0.0.0", strconv.Itoa(port)))
			require.NoError(t, err)
			require.NoError(t, listener.Close())
		}
	})

	for title, o := range map[string]node.PortOptions{
		"a range within the ephemeral one":            {Low: low, High: high},
		"a range that ends before it begins":          {Low: 20000, High: 19999},
		"a range beyond the last port":                {Low: 65000, High: 65536},
		"a publish address that is not this host's":   {Address: "203.0.113.1"},
		"a publish address that is no address at all": {Address: "node.invalid"},
	} {
		t.Run(title+" is Invalid", func(t *testing.T) {
			_, err := o.FreePorts(1)
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		})
	}
}
