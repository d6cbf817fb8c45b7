package cli_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDevTrust(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "platform")
	trust := func(more ...string) outcome {
		return mcp(t.Context(), t, nil, append([]string{"dev", "trust", "--dir", dir}, more...)...)
	}
	got := trust()
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "there is no platform in "+dir)

	root := filepath.Join(dir, "edge", "ca", "root.crt")
	require.NoError(t, os.MkdirAll(filepath.Dir(root), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dev.lock"), nil, 0o644))
	got = trust()
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "has no edge yet")

	require.NoError(t, os.WriteFile(root, []byte("no certificate"), 0o644))
	got = trust("--install")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, root+" is no certificate")

	require.NoError(t, os.WriteFile(root, certificate(t), 0o644))
	got = trust()
	require.Zero(t, got.code, got.stderr)
	require.Regexp(t, "SHA-256 +[0-9a-f]{64}\n", got.stdout)
	require.Contains(t, got.stdout, "curl --cacert "+root+"\n")

	var shown struct {
		Root      string
		Installed string
		Commands  []struct{ For, Command string }
	}
	got = trust("--json")
	require.Zero(t, got.code, got.stderr)
	decode(t, got.stdout, &shown)
	require.Equal(t, root, shown.Root)
	require.Empty(t, shown.Installed, "nothing is installed unless it is asked for")
	require.GreaterOrEqual(t, len(shown.Commands), 3)
}

// certificate returns one, in PEM.
func certificate(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
