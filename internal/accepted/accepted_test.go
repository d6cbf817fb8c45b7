package accepted_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/accepted"
)

func TestQueue(t *testing.T) {
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7433}
	q := accepted.NewQueue(address)
	require.Equal(t, net.Addr(address), q.Addr())

	here, _ := net.Pipe()
	go q.Put(here)
	got, err := q.Accept()
	require.NoError(t, err)
	require.Same(t, here, got)

	waiting := make(chan error)
	go func() { _, err := q.Accept(); waiting <- err }()
	require.NoError(t, q.Close())
	require.NoError(t, q.Close(), "twice")
	require.ErrorIs(t, <-waiting, net.ErrClosed)

	late, peer := net.Pipe()
	q.Put(late)
	_, err = peer.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "a connection that no server accepts is closed")
}
