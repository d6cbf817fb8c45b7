package logins_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime/podman/logins"
)

// stored returns a file with credentials for an image registry, in a new directory.
func stored(t *testing.T, dir, registry, user string) string {
	t.Helper()
	file := filepath.Join(dir, "auth.json")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	login := base64.StdEncoding.EncodeToString([]byte(user + ":hush"))
	require.NoError(t, os.WriteFile(file, []byte(`{"auths":{"`+registry+`":{"auth":"`+login+`"}}}`), 0o600))
	return file
}

// held returns what a header holds.
func held(t *testing.T, header http.Header, name string) string {
	t.Helper()
	text, err := base64.URLEncoding.DecodeString(header.Get(name))
	require.NoError(t, err)
	return string(text)
}

func TestHeaders(t *testing.T) {
	file := stored(t, t.TempDir(), "one.example", "ann")
	for _, name := range []string{logins.ForCopy, logins.ForBuild} {
		header, err := logins.Header(file, name)
		require.NoError(t, err)
		require.JSONEq(t, `{"one.example":{"username":"ann","password":"hush"}}`, held(t, header, name))
	}
	header, err := logins.Header(filepath.Join(t.TempDir(), "none.json"), logins.ForCopy)
	require.NoError(t, err)
	require.Nil(t, header)
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = logins.Header(file, logins.ForCopy)
	require.Equal(t, fault.Invalid, fault.Of(err).Kind)
}

func TestFilesOfPodmansOwnCommands(t *testing.T) {
	run, home := t.TempDir(), t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	stored(t, filepath.Join(run, "containers"), "one.example", "ann")
	stored(t, filepath.Join(home, "config", "containers"), "one.example", "bob")
	header, err := logins.Header("", logins.ForCopy)
	require.NoError(t, err)
	require.JSONEq(t, `{"one.example":{"username":"ann","password":"hush"}}`, held(t, header, logins.ForCopy), "the first file")

	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("DOCKER_CONFIG", "/docker")
	require.Equal(t, "/docker/config.json", logins.DefaultFile())
	t.Setenv("REGISTRY_AUTH_FILE", "/auth.json")
	require.Equal(t, "/auth.json", logins.DefaultFile())
}
