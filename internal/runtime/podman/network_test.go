package podman_test

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// Podman keeps the address of a container whose start it did not survive, and refuses it
// to the container itself from then on.
func TestAContainerStartsAlthoughItsAddressIsTaken(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	network, err := engine.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "mcp-taken"})
	require.NoError(t, err)
	address := network.Gateway.Next().Next().Next()
	spec := func(name string) runtime.ContainerSpec {
		return runtime.ContainerSpec{
			Name: name, Image: "localhost/app:v1", Command: []string{"/app", "sleep", "10m"},
			Networks: []runtime.Attachment{{Network: network.Name, Address: address, Aliases: []string{name}}},
			Labels: map[string]string{
				runtime.LabelService: "taken", runtime.LabelComponent: name, runtime.LabelAddress: address.String() + "/24",
			},
		}
	}
	_, err = engine.Run(t.Context(), spec("first"))
	require.NoError(t, err)
	require.NoError(t, engine.Stop(t.Context(), "first", 0))
	_, err = engine.Run(t.Context(), spec("second"))
	require.NoError(t, err)

	require.NoError(t, engine.Start(t.Context(), "first"))
	info, err := engine.Inspect(t.Context(), "first")
	require.NoError(t, err)
	require.Equal(t, runtime.Running, info.State)
	require.Equal(t, []string{network.Name}, info.Networks)
	require.True(t, network.Subnet.Contains(info.Addresses[network.Name]))
	require.NotEqual(t, address, info.Addresses[network.Name])
	require.NoError(t, engine.Stop(t.Context(), "first", time.Second))
	require.NoError(t, engine.Start(t.Context(), "first"))
}

// A container that gets the address of a former one is reached at once by a container that
// has reached the former one lately.
func TestAContainerIsReachedAtTheAddressOfAFormerOne(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	network, err := engine.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "mcp-again"})
	require.NoError(t, err)
	client := network.Gateway.Next().Next()
	start := func(name string, address netip.Addr, command ...string) {
		t.Helper()
		_, err := engine.Run(t.Context(), runtime.ContainerSpec{
			Name: name, Image: "localhost/app:v1", Command: append([]string{"/app"}, command...), Env: map[string]string{"PORT": "8080"},
			Networks: []runtime.Attachment{{Network: network.Name, Address: address}},
		})
		require.NoError(t, err)
	}
	start("client", client, "sleep", "10m")
	var former string
	for range 4 {
		start("server", client.Next(), "serve")
		link, err := engine.Exec(t.Context(), "server", []string{"/app", "cat", "/sys/class/net/eth0/address"})
		require.NoError(t, err)
		require.Regexp(t, "^02:6d:", link.Output(), "it follows from the address")
		if former != "" {
			require.Equal(t, former, link.Output())
		}
		former = link.Output()
		began := time.Now()
		result, err := engine.Exec(t.Context(), "client", []string{"/app", "get", "http://" + client.Next().String() + ":8080/"})
		require.NoError(t, err)
		require.Zero(t, result.ExitCode, result.Output())
		require.Less(t, time.Since(began), 5*time.Second, "an entry that is wrong is dropped after eight seconds")
		require.NoError(t, engine.Remove(t.Context(), "server"))
	}
}

// A network is created although the host's interfaces change while podman reads them.
func TestANetworkIsCreatedWhileInterfacesGo(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	pass := toPodman(service.Socket())
	var failing atomic.Int32
	engine := podman.New(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/networks/create") && failing.Add(-1) >= 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"cause":"no such network interface","message":"route ip+net: no such network interface","response":500}`))
			return
		}
		pass.ServeHTTP(w, r)
	})))
	failing.Store(2)
	created, err := engine.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "busy"})
	require.NoError(t, err)
	require.Negative(t, failing.Load())
	found, err := engine.Network(t.Context(), "busy")
	require.NoError(t, err)
	require.Equal(t, created, found)
	failing.Store(1000)
	_, err = engine.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "other"})
	require.True(t, fault.Is(err, fault.Unavailable), "it is worth another attempt: %v", err)
}
