package podman_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

func TestContainerSpecs(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)

	t.Run("limits, volumes and the user reach podman", func(t *testing.T) {
		source := t.TempDir()
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "all", Image: "localhost/app:v1", User: "1000:1000", Restart: "unless-stopped",
			Volumes: []string{source + ":/data:ro", "named:/named"},
			Memory:  64 << 20, CPUs: 0.5, LogSize: 1 << 20, StopTimeout: 1500 * time.Millisecond,
		})
		require.NoError(t, err)
		var found struct {
			Config     struct{ User string }
			HostConfig struct {
				Memory, CPUQuota, CPUPeriod int64
				RestartPolicy               struct{ Name string }
			}
			Mounts []struct {
				Type, Name, Source, Destination string
				RW                              bool
			}
		}
		require.NoError(t, ask(service.Socket(), "containers/all/json", &found))
		require.Equal(t, "1000:1000", found.Config.User)
		require.EqualValues(t, 64<<20, found.HostConfig.Memory)
		require.InDelta(t, 0.5, float64(found.HostConfig.CPUQuota)/float64(found.HostConfig.CPUPeriod), 0.001)
		require.Contains(t, []string{"unless-stopped", "always"}, found.HostConfig.RestartPolicy.Name)
		require.Len(t, found.Mounts, 2)
		for _, m := range found.Mounts {
			if m.Type == "bind" {
				require.Equal(t, source, m.Source)
				require.Equal(t, "/data", m.Destination)
				require.False(t, m.RW)
			} else {
				require.Equal(t, "named", m.Name)
				require.Equal(t, "/named", m.Destination)
			}
		}
		require.NoError(t, engine.Remove(t.Context(), "all"))
	})

	t.Run("secrets reach the program as files and as variables", func(t *testing.T) {
		for name, value := range map[string]string{"filed": "in a file", "named": "in a variable"} {
			addSecret(t, service.Socket(), name, value)
		}
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "trusted", Image: "localhost/app:v1", Command: []string{"/app", "sleep", "1h"}, User: "1000",
			Secrets: []servicedef.Secret{{Source: "filed"}}, SecretEnv: map[string]string{"KEY": "named"},
		})
		require.NoError(t, err)
		for file, content := range map[string]string{"/run/secrets/filed": "in a file", "/proc/1/environ": "KEY=in a variable"} {
			read, err := engine.Exec(t.Context(), "trusted", []string{"/app", "cat", file})
			require.NoError(t, err)
			require.Contains(t, read.Output(), content)
		}
		require.NoError(t, engine.Remove(t.Context(), "trusted"))
	})

	t.Run("the error of a missing secret names it, and the hint how to create it", func(t *testing.T) {
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{Name: "curious", Image: "localhost/app:v1", Secrets: []servicedef.Secret{{Source: "shop-tls"}}})
		f := fault.Of(err)
		require.Equal(t, fault.Invalid, f.Kind, f)
		require.Contains(t, f.Message, "shop-tls")
		require.Equal(t, "create it on that node: podman secret create shop-tls FILE", f.Hint)
	})

	t.Run("on the host's network a program listens on the host's port", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := listener.Addr().(*net.TCPAddr).Port
		require.NoError(t, listener.Close())
		_, err = engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "host", Image: "localhost/app:v1", Network: "host", Env: map[string]string{"PORT": fmt.Sprint(port)},
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			return err == nil && connection.Close() == nil
		}, time.Minute, 20*time.Millisecond)
		require.NoError(t, engine.Remove(t.Context(), "host"))
	})

	t.Run("a program that fails is restarted as often as the policy allows", func(t *testing.T) {
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "flaps", Image: "localhost/app:v1", Command: []string{"/app", "exit", "3"}, Restart: "on-failure:2",
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			info, err := engine.Inspect(t.Context(), "flaps")
			return err == nil && info.State == runtime.Stopped && info.Restarts == 2
		}, time.Minute, 50*time.Millisecond)
		require.NoError(t, engine.Remove(t.Context(), "flaps"))
	})

	t.Run("a program that crashes in a loop can be stopped", func(t *testing.T) {
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "loops", Image: "localhost/app:v1", Command: []string{"/app", "exit", "3"}, Restart: "always",
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			info, err := engine.Inspect(t.Context(), "loops")
			return err == nil && info.Restarts > 1
		}, time.Minute, 50*time.Millisecond)
		require.NoError(t, engine.Stop(t.Context(), "loops", time.Second))
		stopped, err := engine.Inspect(t.Context(), "loops")
		require.NoError(t, err)
		time.Sleep(time.Second) // two restarts would fit
		later, err := engine.Inspect(t.Context(), "loops")
		require.NoError(t, err)
		require.Equal(t, runtime.Stopped, later.State)
		require.Equal(t, stopped.Restarts, later.Restarts)
		require.NoError(t, engine.Remove(t.Context(), "loops"))
	})

	t.Run("a user id out of range is Invalid, with a hint", func(t *testing.T) {
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{Name: "ranged", Image: "localhost/app:v1", User: "4294967296"})
		f := fault.Of(err)
		require.Equal(t, fault.Invalid, f.Kind, f)
		require.Contains(t, f.Hint, "2147483647")
	})

	t.Run("a log that reaches its bound begins anew", func(t *testing.T) {
		const bound = 8 << 20
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: "loud", Image: "localhost/app:v1", Command: []string{"/app", "pour", "200", "0s"}, LogSize: bound,
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			info, err := engine.Inspect(t.Context(), "loud")
			return err == nil && info.State == runtime.Stopped
		}, 2*time.Minute, 50*time.Millisecond)
		var found struct {
			HostConfig struct{ LogConfig struct{ Path string } }
		}
		require.NoError(t, ask(service.Socket(), "containers/loud/json", &found))
		files, err := filepath.Glob(found.HostConfig.LogConfig.Path + "*")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		var size int64
		for _, file := range files {
			info, err := os.Stat(file)
			require.NoError(t, err)
			size += info.Size()
		}
		require.LessOrEqual(t, size, int64(bound+1<<20))
		last, err := runtime.LastLines(t.Context(), engine, "loud", 1, 100)
		require.NoError(t, err)
		require.Equal(t, []string{"the last line"}, last)
		require.NoError(t, engine.Remove(t.Context(), "loud"))
	})

	t.Run("an image of another architecture is named", func(t *testing.T) {
		const foreign = "arm64"
		require.NotEqual(t, foreign, goruntime.GOARCH, "choose another")
		buildForeign(t, service.Socket(), contract.BuildForeignApp(t, foreign), "localhost/foreign:v1", "linux/"+foreign)
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{Name: "foreign", Image: "localhost/foreign:v1"})
		if err == nil { // runc reports it in the container's output
			var info runtime.ContainerInfo
			require.Eventually(t, func() bool {
				info, err = engine.Inspect(t.Context(), "foreign")
				return err == nil && info.State == runtime.Stopped
			}, time.Minute, 50*time.Millisecond)
			require.Equal(t, "linux/"+foreign, info.Platform)
			last, lost := runtime.LastLines(t.Context(), engine, "foreign", 1, 100)
			require.NoError(t, lost)
			err = info.Failure(last)
			require.ErrorContains(t, err, "container foreign: cannot run: its image is for linux/"+foreign)
		}
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
		require.Contains(t, fault.Of(err).Hint, "build")
		require.NoError(t, engine.Remove(t.Context(), "foreign"))
	})

	t.Run("a network without a free address is Invalid, with a hint", func(t *testing.T) {
		response, err := clientOf(service.Socket()).Post("http://podman/v4.0.0/libpod/networks/create", "application/json",
			strings.NewReader(`{"name": "tiny", "driver": "bridge", "subnets": [{"subnet": "10.99.77.0/30"}]}`))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		run := func(name string) error {
			_, err := engine.Run(t.Context(), runtime.ContainerSpec{Name: name, Image: "localhost/app:v1", Network: "tiny"})
			return err
		}
		require.NoError(t, run("only"))
		f := fault.Of(run("another"))
		require.Equal(t, fault.Invalid, f.Kind, f)
		require.Contains(t, f.Hint, "a larger network")
		require.NoError(t, engine.Remove(t.Context(), "only"))
	})

	for name, change := range map[string]func(*runtime.ContainerSpec){
		"a volume without its source":         func(c *runtime.ContainerSpec) { c.Volumes = []string{"/nosuchdirectory:/data"} },
		"a malformed volume":                  func(c *runtime.ContainerSpec) { c.Volumes = []string{"a:b:c:d"} },
		"a volume with contradictory options": func(c *runtime.ContainerSpec) { c.Volumes = []string{"/tmp:/data:ro,rw"} },
		"a volume with an unknown option":     func(c *runtime.ContainerSpec) { c.Volumes = []string{"/tmp:/data:nonsense"} },
		"a missing network":                   func(c *runtime.ContainerSpec) { c.Network = "nosuchnetwork" },
		"an invalid restart policy":           func(c *runtime.ContainerSpec) { c.Restart = "on-failure:often" },
		"too little memory":                   func(c *runtime.ContainerSpec) { c.Memory = 1024 },
		"a name that podman does not allow":   func(c *runtime.ContainerSpec) { c.Name = "no spaces" },
	} {
		t.Run(name+" is Invalid", func(t *testing.T) {
			spec := runtime.ContainerSpec{Name: "refused", Image: "localhost/app:v1"}
			change(&spec)
			_, err := engine.Run(t.Context(), spec)
			require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
			infos, err := engine.List(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, infos)
		})
	}
}

// buildForeign builds an image of the test program for another platform.
func buildForeign(t *testing.T, socket, dir, tag, platform string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Containerfile"), []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n"), 0o600))
	var context bytes.Buffer
	archive := tar.NewWriter(&context)
	require.NoError(t, archive.AddFS(os.DirFS(dir)))
	require.NoError(t, archive.Close())
	query := url.Values{"t": {tag}, "output": {tag}, "platform": {platform}, "dockerfile": {`["Containerfile"]`}, "outputformat": {"application/vnd.oci.image.manifest.v1+json"}}
	response, err := clientOf(socket).Post("http://podman/v4.0.0/libpod/build?"+query.Encode(), "application/x-tar", &context)
	require.NoError(t, err)
	defer response.Body.Close()
	output, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(output))
}

// addSecret creates a secret in podman.
func addSecret(t *testing.T, socket, name, value string) {
	t.Helper()
	response, err := clientOf(socket).Post("http://podman/v4.0.0/libpod/secrets/create?name="+name, "application/octet-stream", strings.NewReader(value))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}
