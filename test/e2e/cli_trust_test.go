package e2e

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestARootIsInstalledInTheMachinesStore runs mcp dev trust --install, and a client, in a
// mount namespace in which the machine's store is a directory of the test.
func TestARootIsInstalledInTheMachinesStore(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	platform := filepath.Join(t.TempDir(), "platform")
	root := filepath.Join(platform, "edge", "ca", "root.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.MkdirAll(filepath.Dir(root), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(platform, "dev.lock"), nil, 0o644))
	require.NoError(t, os.WriteFile(root, text, 0o644))

	const local = "/usr/local/share/ca-certificates"
	private := map[string]string{}
	var mounts []string
	for _, dir := range []string{local, "/etc/ssl/certs", "/etc/ca-certificates/update.d"} { // the last has programs that are run
		private[dir] = t.TempDir()
		mounts = append(mounts, "mount --bind "+private[dir]+" "+dir)
	}
	inside := func(cmd *exec.Cmd) (string, error) {
		t.Helper()
		script := strings.Join(mounts, " && ") + ` && exec "$@"`
		own := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", script, "sh"}, cmd.Args...)...)
		own.Env = cmd.Env
		out, err := own.CombinedOutput()
		return string(out), err
	}
	fetch := func() (string, error) {
		return inside(exec.Command("curl", "--silent", "--show-error", "--head", server.URL))
	}
	out, err := fetch()
	require.Error(t, err, "nothing is trusted yet")
	require.Contains(t, out, "certificate")

	w := newWorld(t)
	for range 2 { // again, it is as it was
		out, err = inside(w.command("dev", "trust", "--install", "--dir", platform))
		require.NoError(t, err, out)
		require.Regexp(t, `(?m)^installed +`+local+`/mcp-dev.crt$`, out)
		out, err = fetch()
		require.NoError(t, err, out)
	}
	installed, err := os.ReadFile(filepath.Join(private[local], "mcp-dev.crt"))
	require.NoError(t, err)
	require.Equal(t, text, installed)
	require.NoFileExists(t, filepath.Join(local, "mcp-dev.crt"))

	// A store that cannot be updated: its program fails.
	failing := w.command("dev", "trust", "--install", "--dir", platform)
	tools := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tools, "update-ca-certificates"), []byte("#!/bin/sh\necho the store is full\nexit 3\n"), 0o755))
	failing.Env = append(failing.Env, "PATH="+tools+":"+os.Getenv("PATH"))
	out, err = inside(failing)
	require.Error(t, err)
	require.Contains(t, out, "updating this machine's store with "+tools+"/update-ca-certificates")
	require.Contains(t, out, "the store is full")
}
