package loopback_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/loopback"
)

func TestWhatLeavesThisMachine(t *testing.T) {
	for host, leaves := range map[string]bool{
		"127.0.0.1": false, "127.8.9.10": false, "::1": false, "[::1]": false, "localhost": false, "LOCALHOST": false, "localhost.": false,
		"::ffff:127.0.0.1": false, "[::ffff:127.0.0.1]": false, "::ffff:7f00:1": false, "": false, "/run/postgresql": false, "@abstract": false,
		"10.0.0.5": true, "192.168.1.1": true, "0.0.0.0": true, "::": true, "[::]": true, "::ffff:10.0.0.5": true, "[::ffff:a00:5]": true,
		"169.254.1.1": true, "fe80::1%eth0": true, "fd00::1": true, "128.0.0.1": true, "126.255.255.255": true, "::2": true, "64:ff9b::7f00:1": true,
		"255.255.255.255": true, "224.0.0.1": true,
	} {
		err := loopback.Check(t.Context(), host)
		require.Equal(t, leaves, err != nil, "%q: %v", host, err)
		if leaves {
			require.True(t, fault.Is(err, fault.Invalid))
			require.ErrorContains(t, err, "leaves this machine")
		}
		require.Equal(t, leaves, loopback.CheckAddress(t.Context(), net.JoinHostPort(strings.Trim(host, "[]"), "5432")) != nil, host)
	}
}

// Names that look like this machine, and may be another: where they lead is checked when
// they are dialled.
func TestANameIsRefusedWhenItIsDialled(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:80": false, "[::1]:80": false, "[::ffff:127.0.0.1]:80": false,
		"10.0.0.5:80": true, "[::ffff:10.0.0.5]:80": true, "0.0.0.0:80": true, "[::]:80": true, "nonsense": true, "": true,
	} {
		require.Equal(t, refused, loopback.Control(t.Context(), "tcp", address, nil) != nil, address)
	}
	require.NoError(t, loopback.Control(t.Context(), "unix", "/run/postgresql/.s.PGSQL.5432", nil))
	_, err := loopback.Dialer(0).DialContext(t.Context(), "tcp", "192.0.2.1:9")
	require.ErrorContains(t, err, "leaves this machine")
}

func TestPlainRequestsReachThisMachineAlone(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:3128")
	t.Setenv("http_proxy", "http://192.0.2.1:3128")
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client := &http.Client{Transport: loopback.Transport(http.DefaultTransport.(*http.Transport))}
	response, err := client.Get(server.URL)
	require.NoError(t, err)
	_ = response.Body.Close()
	requireRefused := func(url string) {
		response, err := client.Get(url)
		if err == nil {
			_ = response.Body.Close()
		}
		require.ErrorContains(t, err, "leaves this machine")
	}
	requireRefused("http://192.0.2.1/")
	redirecting := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/", http.StatusFound))
	defer redirecting.Close()
	requireRefused(redirecting.URL)
}
