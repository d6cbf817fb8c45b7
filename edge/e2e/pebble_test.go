package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/authority"
)

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startPebble starts an authority that connects to the ports of one address for its
// challenges, and returns the table of a configuration, too.
func startPebble(t *testing.T, http, https int, ip string) (a *authority.Authority, acme string) {
	t.Helper()
	a, err := authority.Start(authority.Options{Programs: "../../bin", Dir: t.TempDir(), HTTP: http, HTTPS: https, Leads: ip})
	require.NoError(t, err)
	t.Cleanup(a.Stop)
	return a, fmt.Sprintf("directory = %q\nroot = %q", a.Directory, a.Root)
}
