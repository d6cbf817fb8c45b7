package dev_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/servicedef"
)

func TestMachinesPodman(t *testing.T) {
	machine, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, machine.Destroy()) })
	dir := platformDir(t)
	platform := up(t, dir, func(o *dev.Options) { o.MachineSocket = machine.Socket() })

	t.Run("is used if it answers", func(t *testing.T) {
		require.Equal(t, machine.Socket(), platform.Info().Podman)
		require.False(t, platform.Info().PrivatePodman)
		require.NoDirExists(t, filepath.Join(dir, "podman"))
	})

	t.Run("loses only this platform's containers when the platform is destroyed", func(t *testing.T) {
		begin(t, dir, "shop")
		podman(t, machine, emptyImage(t), "import", "-", "empty")
		podman(t, machine, nil, "create", "--name", "shop-api", "--label", "mcp.service=shop", "empty", "/x")
		podman(t, machine, nil, "create", "--name", "other-api", "--label", "mcp.service=other", "empty", "/x")

		platform.Down()
		left, err := dev.Destroy(t.Context(), dir)
		require.NoError(t, err)
		require.Empty(t, left)
		require.Equal(t, "other-api", podman(t, machine, nil, "ps", "--all", "--format", "{{.Names}}"))
		require.Empty(t, processes(t, dir))
	})
}

// begin records a deployment of a service in the platform's registry.
func begin(t *testing.T, dir, service string) {
	t.Helper()
	c, err := config.Load(filepath.Join(dir, "mcp.toml"), func(string) string { return "" })
	require.NoError(t, err)
	url, err := c.PostgresURL()
	require.NoError(t, err)
	store, err := registry.Open(t.Context(), url)
	require.NoError(t, err)
	defer store.Close()
	_, err = store.BeginDeployment(t.Context(), fleet.BeginRequest{
		Definition:     servicedef.Service{Name: service, Node: dev.Local, Components: []servicedef.Component{{Name: "api", Node: dev.Local}}},
		DefinitionHash: "hash", Verb: "deploy", WorkflowID: "deploy/" + service, RunID: "run", Who: "op", From: "here",
	})
	require.NoError(t, err)
}

// podman runs a podman command through an engine's API service.
func podman(t *testing.T, engine *parts.Podman, input []byte, args ...string) string {
	t.Helper()
	command := exec.Command("podman", append([]string{"--remote", "--url", engine.Socket()}, args...)...)
	command.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	require.NoError(t, err, stderr.String())
	return strings.TrimSpace(string(output))
}

// emptyImage returns the root file system of an image with one empty file.
func emptyImage(t *testing.T) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "x", Mode: int64(os.ModePerm)}))
	require.NoError(t, w.Close())
	return archive.Bytes()
}
