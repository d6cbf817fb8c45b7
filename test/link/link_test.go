package link_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/link"
)

func TestALinkIsSlowAndLosesNothing(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = echo.Close() }()
	go func() {
		conn, err := echo.Accept()
		if err == nil {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	const trip = 40 * time.Millisecond
	l, err := link.To(echo.Addr().String(), trip)
	require.NoError(t, err)

	started := time.Now()
	conn, err := net.Dial("tcp", l.Address())
	require.NoError(t, err)
	sent, got := bytes.Repeat([]byte("0123456789"), 20_000), make([]byte, 200_000)
	_, err = conn.Write(sent)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(started), 2*trip, "one for the connection, one for the answer")
	require.True(t, bytes.Equal(sent, got))

	started = time.Now()
	_, err = conn.Write(sent[:1])
	require.NoError(t, err)
	_, err = io.ReadFull(conn, got[:1])
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(started), trip)
	require.NoError(t, conn.Close())
	require.NoError(t, l.Close())
}
