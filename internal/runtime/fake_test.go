package runtime_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/servicedef"
)

func TestFakeKeepsTheContract(t *testing.T) {
	contract.Test(t, func(*testing.T) contract.Rig {
		f := runtime.NewFake()
		return contract.Rig{
			Runtime: f, Registry: f.Registry.Address, SetDown: f.SetDown, AddSecret: f.AddSecret,
			Digest: func(t *testing.T, image string) string {
				digest, found := f.Registry.Digest(image)
				require.True(t, found)
				return digest
			},
		}
	})
}

func TestFake(t *testing.T) {
	spec := runtime.ContainerSpec{
		Name: "shop-api", Image: "shop:v1",
		Ports: []servicedef.Port{{Host: 8080, Container: 8080, Protocol: "tcp"}},
	}

	t.Run("a port that another program holds is PortInUse", func(t *testing.T) {
		f := runtime.NewFake()
		f.AddImages("shop:v1")
		f.TakePort(8080)
		_, err := f.Run(t.Context(), spec)
		require.Equal(t, 8080, fault.Of(err).Port)
		require.True(t, fault.Is(err, fault.PortInUse))
	})

	t.Run("a method returns the error of Before", func(t *testing.T) {
		f := runtime.NewFake()
		f.AddImages("shop:v1")
		broken := errors.New("the disk is full")
		f.Before = func(method, name string) error {
			if method == "Run" && name == "shop-api" {
				return broken
			}
			return nil
		}
		_, err := f.Run(t.Context(), spec)
		require.ErrorIs(t, err, broken)
		_, err = f.List(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, []runtime.FakeCall{{Method: "Run", Name: "shop-api"}, {Method: "List"}}, f.Calls())
	})

	t.Run("a container can be made to exit", func(t *testing.T) {
		f := runtime.NewFake()
		f.AddImages("shop:v1")
		_, err := f.Run(t.Context(), spec)
		require.NoError(t, err)
		f.Exit("shop-api", 9)
		info, err := f.Inspect(t.Context(), "shop-api")
		require.NoError(t, err)
		require.Equal(t, runtime.Stopped, info.State)
		require.Equal(t, 9, info.ExitCode)
	})

	t.Run("an image pushed by one host can be pulled by another, by digest", func(t *testing.T) {
		builder, node := runtime.NewFake(), runtime.NewFake()
		node.Registry = builder.Registry
		image := builder.Registry.Address + "/shop:v1"
		builder.AddImages(image)
		require.NoError(t, builder.Push(t.Context(), runtime.PushSpec{Image: image}))
		digest, found := builder.Registry.Digest(image)
		require.True(t, found)
		byDigest := builder.Registry.Address + "/shop@" + digest
		require.NoError(t, node.Pull(t.Context(), runtime.PullSpec{Image: byDigest}))
		here, err := node.ImageExists(t.Context(), byDigest)
		require.NoError(t, err)
		require.True(t, here)
	})

	t.Run("an image registry that is down is Unavailable", func(t *testing.T) {
		f := runtime.NewFake()
		image := f.Registry.Address + "/shop:v1"
		f.Registry.Add(image)
		f.Registry.SetDown(true)
		require.True(t, fault.Is(f.Pull(t.Context(), runtime.PullSpec{Image: image}), fault.Unavailable))
	})
}
