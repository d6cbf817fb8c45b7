package parts_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
)

func TestFreePort(t *testing.T) {
	t.Run("a process can listen on it", func(t *testing.T) {
		port, err := parts.FreePort()
		require.NoError(t, err)
		listen(t, port)
	})

	t.Run("no port is returned twice in a row", func(t *testing.T) {
		given := map[int]bool{}
		for range 50 {
			port, err := parts.FreePort()
			require.NoError(t, err)
			require.False(t, given[port], "port %d was returned twice", port)
			given[port] = true
		}
	})
}

// listen listens on a port of 127.0.0.1 until the test ends.
func listen(t *testing.T, port int) {
	t.Helper()
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
}

// portOf returns the port of "host:port".
func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}
