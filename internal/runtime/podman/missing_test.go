package podman_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// What others make by hand, and what was there when a container was made, can be gone. No
// such error is retried as one of the engine itself would be.
func TestWhatIsGoneIsNoFailureOfTheEngine(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	bound := filepath.Join(t.TempDir(), "bound")
	require.NoError(t, os.Mkdir(bound, 0o700))
	stopped := func(name string, change func(*runtime.ContainerSpec)) {
		t.Helper()
		spec := runtime.ContainerSpec{Name: name, Image: "localhost/app:v1", Command: []string{"/app", "sleep", "1h"}, Restart: "no"}
		change(&spec)
		_, err := engine.Run(t.Context(), spec)
		require.NoError(t, err)
		require.NoError(t, engine.Stop(t.Context(), name, 0))
	}
	start := func(name string) func() error {
		return func() error { return engine.Start(t.Context(), name) }
	}
	run := func(change func(*runtime.ContainerSpec)) func() error {
		spec := runtime.ContainerSpec{Name: "refused", Image: "localhost/app:v1", Restart: "no"}
		change(&spec)
		return func() error { _, err := engine.Run(t.Context(), spec); return err }
	}
	for _, name := range []string{"gone", "empty", "exec"} {
		addSecret(t, service.Socket(), name, "hush")
	}
	_, err := engine.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "left"})
	require.NoError(t, err)
	stopped("variable", func(c *runtime.ContainerSpec) { c.SecretEnv = map[string]string{"KEY": "gone"} })
	stopped("volume", func(c *runtime.ContainerSpec) { c.Volumes = []string{"named:/data"} })
	stopped("bind", func(c *runtime.ContainerSpec) { c.Volumes = []string{bound + ":/data"} })
	stopped("network", func(c *runtime.ContainerSpec) { c.Networks = []runtime.Attachment{{Network: "left"}} })
	_, err = engine.Run(t.Context(), runtime.ContainerSpec{
		Name: "exec", Image: "localhost/app:v1", Command: []string{"/app", "sleep", "1h"}, SecretEnv: map[string]string{"KEY": "exec"},
	})
	require.NoError(t, err)
	for _, name := range []string{"gone", "exec"} {
		require.NoError(t, engine.RemoveSecret(t.Context(), name))
	}
	require.NoError(t, os.RemoveAll(bound))
	lose(t, dir, "secretsdata.json")
	lose(t, dir, "left.json")
	lose(t, dir, "_data")

	for _, c := range []struct {
		name  string
		do    func() error
		kind  fault.Kind
		lacks string // as the error has it
		hint  string
	}{
		{"a secret of a variable, at the next start", start("variable"), fault.Invalid, "secret gone", "podman secret create gone FILE"},
		{"a secret of a variable, in a command", func() error { _, err := engine.Exec(t.Context(), "exec", []string{"/app", "env", "KEY"}); return err }, fault.Invalid, "secret exec", "podman secret create exec FILE"},
		{"the value of a secret", run(func(c *runtime.ContainerSpec) { c.Secrets = []servicedef.Secret{{Source: "empty"}} }), fault.Invalid, "", "podman secret rm"},
		{"a network", run(func(c *runtime.ContainerSpec) { c.Networks = []runtime.Attachment{{Network: "backend"}} }), fault.Invalid, "network backend", "podman network create backend"},
		{"a network by its mode", run(func(c *runtime.ContainerSpec) { c.Network = "backend" }), fault.Invalid, "network backend", "podman network create backend"},
		{"a network, at the next start", start("network"), fault.Invalid, "network left", "podman network create left"},
		{"the directory of a volume, at the next start", start("volume"), fault.Invalid, "", ""},
		{"the source of a bind mount, at the next start", start("bind"), fault.Invalid, "", ""},
		{"the source of a bind mount", run(func(c *runtime.ContainerSpec) { c.Volumes = []string{bound + ":/data"} }), fault.Invalid, "", ""},
		{"an image by its digest", run(func(c *runtime.ContainerSpec) { c.Image = "localhost/app@sha256:" + strings.Repeat("1", 64) }), fault.NotFound, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.do()
			f := fault.Of(err)
			require.Equal(t, c.kind, f.Kind, err)
			require.Contains(t, f.Hint, c.hint)
			var lacks *runtime.MissingError
			if c.lacks != "" {
				require.ErrorAs(t, err, &lacks)
				require.Equal(t, c.lacks, string(lacks.What)+" "+lacks.Name)
			}
		})
	}
}

// lose removes what has that name below a podman's directory.
func lose(t *testing.T, dir, name string) {
	t.Helper()
	found := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != name {
			return err
		}
		found++
		if err := os.RemoveAll(path); err != nil || !entry.IsDir() {
			return err
		}
		return filepath.SkipDir
	}))
	require.NotZero(t, found, name)
}
