package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A user without root has a podman of their own.
func TestTheSocketIsThatOfTheUser(t *testing.T) {
	env := map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000"}
	getenv := func(name string) string { return env[name] }
	require.Equal(t, "unix:///run/user/1000/podman/podman.sock", podmanSocketOf(getenv, 1000))
	require.Equal(t, "unix:///run/podman/podman.sock", podmanSocketOf(getenv, 0), "root's, whoever has become root")
	env["CONTAINER_HOST"] = "unix:///srv/podman.sock"
	require.Equal(t, "unix:///srv/podman.sock", podmanSocketOf(getenv, 1000))
	require.Equal(t, "unix:///run/podman/podman.sock", podmanSocketOf(func(string) string { return "" }, 1000))
}
