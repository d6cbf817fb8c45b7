package parts_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
)

// program returns the path of a program that make tools builds.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", name))
	require.NoError(t, err)
	require.FileExists(t, path, "make tools builds it")
	return path
}

func startImageRegistry(t *testing.T, dir string, port int) *parts.ImageRegistry {
	t.Helper()
	r, err := parts.StartImageRegistry(t.Context(), parts.ImageRegistryOptions{Dir: dir, Binary: program(t, "registry"), Port: port})
	require.NoError(t, err)
	t.Cleanup(r.Stop)
	return r
}

// push pushes a small image to an image registry.
func push(t *testing.T, r *parts.ImageRegistry, repository string) (name.Tag, v1.Hash) {
	t.Helper()
	tag, err := name.NewTag(r.Address() + "/" + repository)
	require.NoError(t, err)
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, image))
	digest, err := image.Digest()
	require.NoError(t, err)
	return tag, digest
}

func TestImageRegistry(t *testing.T) {
	t.Run("a second start in the same directory has the same address and images", func(t *testing.T) {
		dir := t.TempDir()
		first := startImageRegistry(t, dir, 0)
		tag, digest := push(t, first, "shop/api:v1")
		first.Stop()

		second := startImageRegistry(t, dir, 0)
		require.Equal(t, first.Address(), second.Address())
		found, err := remote.Head(tag)
		require.NoError(t, err)
		require.Equal(t, digest, found.Digest)
	})

	t.Run("a tag can be deleted", func(t *testing.T) {
		r := startImageRegistry(t, t.TempDir(), 0)
		tag, digest := push(t, r, "shop/api:v1")
		require.NoError(t, remote.Delete(tag.Digest(digest.String())))
		_, err := remote.Head(tag)
		require.ErrorContains(t, err, "404")
	})

	t.Run("two registries have different addresses", func(t *testing.T) {
		here, there := startImageRegistry(t, t.TempDir(), 0), startImageRegistry(t, t.TempDir(), 0)
		require.NotEqual(t, here.Address(), there.Address())
	})

	t.Run("it moves to another port if the former one is taken", func(t *testing.T) {
		dir := t.TempDir()
		first := startImageRegistry(t, dir, 0)
		first.Stop()
		listen(t, portOf(t, first.Address()))

		require.NotEqual(t, first.Address(), startImageRegistry(t, dir, 0).Address())
	})

	t.Run("it listens on a given port, and on that again where none is given", func(t *testing.T) {
		dir := t.TempDir()
		startImageRegistry(t, dir, 0).Stop()
		port, err := parts.FreePort()
		require.NoError(t, err)
		for _, given := range []int{port, 0} {
			r := startImageRegistry(t, dir, given)
			require.Equal(t, port, portOf(t, r.Address()))
			r.Stop()
		}
	})

	t.Run("a given port that another registry holds is an error, not a false readiness", func(t *testing.T) {
		other := startImageRegistry(t, t.TempDir(), 0)
		_, err := parts.StartImageRegistry(t.Context(), parts.ImageRegistryOptions{
			Dir: t.TempDir(), Binary: program(t, "registry"), Port: portOf(t, other.Address()),
		})
		require.ErrorContains(t, err, "address already in use")
	})

	t.Run("it ignores podman's credentials in the environment", func(t *testing.T) {
		t.Setenv("REGISTRY_AUTH_FILE", "/root/auth.json")
		push(t, startImageRegistry(t, t.TempDir(), 0), "shop/api:v1")
	})

	t.Run("a failed start is reported with its reason", func(t *testing.T) {
		_, err := parts.StartImageRegistry(t.Context(), parts.ImageRegistryOptions{Dir: t.TempDir(), Binary: "/bin/false"})
		require.ErrorContains(t, err, "image registry ended before it was ready")
	})
}
