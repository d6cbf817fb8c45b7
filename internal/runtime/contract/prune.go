package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
)

func (s *suite) testPrune(t *testing.T) {
	build := func(t *testing.T, image, label string) {
		_, err := s.Runtime.Build(t.Context(), s.build(t, image, `CMD ["/app", "serve"]`, "LABEL prune="+label))
		require.NoError(t, err)
	}
	prune := func(t *testing.T, image string) bool {
		pruned, err := s.Runtime.PruneImage(t.Context(), image)
		require.NoError(t, err)
		return pruned
	}
	// push pushes an image to the image registry and returns its reference by
	// digest.
	push := func(t *testing.T, image string) string {
		require.NoError(t, s.push(t, image))
		repository, _, _ := strings.Cut(image, ":v")
		return repository + "@" + s.Digest(t, image)
	}

	t.Run("one tag is removed, and another tag of the same image stays", func(t *testing.T) {
		one, other := "localhost/contract/prune-tags:v1", "localhost/contract/prune-tags:v2"
		build(t, one, "tags")
		build(t, other, "tags")
		require.True(t, prune(t, one))
		require.False(t, s.exists(t, one))
		require.True(t, s.exists(t, other))
		require.False(t, prune(t, one), "it is pruned already")
		require.True(t, s.exists(t, other))
		require.True(t, prune(t, other))
		require.False(t, s.exists(t, other))
	})

	t.Run("an image in use keeps all its names", func(t *testing.T) {
		one, other := "localhost/contract/prune-used:v1", "localhost/contract/prune-used:v2"
		build(t, one, "used")
		spec := s.spec(t, "contract-prune-used")
		spec.Image = one
		s.run(t, spec)
		require.False(t, prune(t, one))
		build(t, other, "used")
		require.False(t, prune(t, one))
		require.False(t, prune(t, other))
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		require.False(t, prune(t, one), "a stopped container may be started again")
		require.True(t, s.exists(t, one))
		require.NoError(t, s.Runtime.Remove(t.Context(), spec.Name))
		require.True(t, prune(t, one))
		require.True(t, s.exists(t, other))
	})

	t.Run("a digest is removed, and a tag of the same image stays", func(t *testing.T) {
		tag := s.Registry + "/contract/prune-digest:v1"
		build(t, tag, "digest")
		digest := push(t, tag)
		require.NoError(t, s.pull(t, digest))
		require.True(t, prune(t, digest))
		require.False(t, prune(t, digest), "its image exists, but not under that name")
		require.True(t, s.exists(t, tag))
		require.True(t, prune(t, tag))
		require.False(t, s.exists(t, digest))

		require.NoError(t, s.pull(t, digest)) // from the image registry, which keeps it
		require.True(t, s.exists(t, digest))
		require.True(t, prune(t, digest))
		require.False(t, s.exists(t, digest))
	})

	t.Run("an image that was pulled by a tag does not have its digest as a name", func(t *testing.T) {
		tag := s.Registry + "/contract/prune-foreign:v1"
		build(t, tag, "foreign")
		digest := push(t, tag)
		require.True(t, prune(t, tag))
		require.NoError(t, s.pull(t, tag))
		require.False(t, prune(t, digest))
		require.True(t, s.exists(t, tag))
	})

	t.Run("a digest still runs without a pull after others were pruned", func(t *testing.T) {
		stale, kept := s.Registry+"/contract/prune-kept:v1", s.Registry+"/contract/prune-kept:v2"
		build(t, stale, "stale")
		build(t, kept, "kept")
		staleDigest, keptDigest := push(t, stale), push(t, kept)
		require.NoError(t, s.pull(t, staleDigest))
		require.NoError(t, s.pull(t, keptDigest))
		for _, image := range []string{stale, kept, staleDigest} {
			require.True(t, prune(t, image), image)
		}
		require.True(t, s.exists(t, keptDigest))
		spec := s.spec(t, "contract-prune-kept")
		spec.Image = keptDigest
		s.run(t, spec)
		require.Equal(t, runtime.Running, s.inspect(t, spec.Name).State)
	})
}
