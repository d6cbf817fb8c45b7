package dev_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/identity"
)

func TestPlatformHasAnEdge(t *testing.T) {
	dir := platformDir(t)
	first := up(t, dir)
	edge := first.Info().Edge
	require.NotNil(t, edge, "make build builds bin/mcp-edge")
	ready := strings.TrimSuffix(edge.Metrics, "metrics") + "readyz"
	requireReady := func() {
		t.Helper()
		require.Eventually(t, func() bool { return answers(ready) }, time.Minute, 20*time.Millisecond)
	}

	t.Run("which is admitted when it is ready", func(t *testing.T) {
		require.True(t, answers(ready))
		require.FileExists(t, edge.Root)
		requireGateway(t, first.Info(), append(roles, identity.Edge)...)
	})

	t.Run("and restarted when it dies", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(dir, "edge", "lock"))
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			now, err := os.ReadFile(filepath.Join(dir, "edge", "lock"))
			return err == nil && string(now) != string(text)
		}, time.Minute, 20*time.Millisecond)
		requireReady()
	})

	t.Run("and has its addresses and its root at the next start, also if that is the first one with a gateway", func(t *testing.T) {
		root, err := os.ReadFile(edge.Root)
		require.NoError(t, err)
		forget(t, first.Info())
		first.Down()
		require.False(t, answers(ready))
		for _, name := range []string{"gateway", "identities/node"} { // the others are of an authority that is gone
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
		}
		second := up(t, dir, asBefore)
		requireGateway(t, second.Info(), append(roles, identity.Edge)...)
		require.Equal(t, edge, second.Info().Edge)
		now, err := os.ReadFile(edge.Root)
		require.NoError(t, err)
		require.Equal(t, string(root), string(now))
		requireReady()
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM(root))
		_, err = tls.Dial("tcp", edge.HTTPS, &tls.Config{RootCAs: roots, ServerName: "none.localhost"})
		require.Error(t, err, "nothing is deployed")
	})
}

func TestPlatformGoesOnWithoutAnEdge(t *testing.T) {
	bin, err := filepath.Abs(programs)
	require.NoError(t, err)
	some := t.TempDir()
	for _, name := range []string{"temporal", "registry"} {
		require.NoError(t, os.Symlink(filepath.Join(bin, name), filepath.Join(some, name)))
	}
	dir := platformDir(t)
	info := up(t, dir, func(o *dev.Options) { o.Programs = some }).Info()
	require.Nil(t, info.Edge)
	require.NoDirExists(t, filepath.Join(dir, "edge"))
	require.NoDirExists(t, filepath.Join(info.Identities, "edge"))
}

// answers reports whether a URL answers with 200.
func answers(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
