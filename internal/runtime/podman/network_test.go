package podman_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
