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
	exists := func(t *testing.T, image string) bool {
		here, err := s.Runtime.ImageExists(t.Context(), image)
		require.NoError(t, err)
		return here
	}
	pull := func(t *testing.T, image string) {
		require.NoError(t, s.Runtime.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true}))
	}
	// push puts an image into the image registry, and returns the reference by
	// its digest.
	push := func(t *testing.T, image string) string {
		require.NoError(t, s.Runtime.Push(t.Context(), runtime.PushSpec{Image: image, Insecure: true}))
		repository, _, _ := strings.Cut(image, ":v")
		return repository + "@" + s.Digest(t, image)
	}

	t.Run("a tag goes, and another tag of the same image stays", func(t *testing.T) {
		one, other := "localhost/contract/prune-tags:v1", "localhost/contract/prune-tags:v2"
		build(t, one, "tags")
		build(t, other, "tags")
		require.True(t, prune(t, one))
		require.False(t, exists(t, one))
		require.True(t, exists(t, other))
		require.False(t, prune(t, one), "what is not here is pruned already")
		require.True(t, exists(t, other))
		require.True(t, prune(t, other))
		require.False(t, exists(t, other))
	})

	t.Run("an image in use stays, under each of its names", func(t *testing.T) {
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
		require.True(t, exists(t, one))
		require.NoError(t, s.Runtime.Remove(t.Context(), spec.Name))
		require.True(t, prune(t, one))
		require.True(t, exists(t, other))
	})

	t.Run("a digest goes, and a tag of the same image stays", func(t *testing.T) {
		tag := s.Registry + "/contract/prune-digest:v1"
		build(t, tag, "digest")
		digest := push(t, tag)
		pull(t, digest)
		require.True(t, prune(t, digest))
		require.False(t, prune(t, digest), "its image is still here, and not under that name")
		require.True(t, exists(t, tag))
		require.True(t, prune(t, tag))
		require.False(t, exists(t, digest))

		pull(t, digest) // from the image registry, which nobody prunes
		require.True(t, exists(t, digest))
		require.True(t, prune(t, digest))
		require.False(t, exists(t, digest))
	})

	t.Run("what somebody pulled by a tag is not here under its digest", func(t *testing.T) {
		tag := s.Registry + "/contract/prune-foreign:v1"
		build(t, tag, "foreign")
		digest := push(t, tag)
		require.True(t, prune(t, tag))
		pull(t, tag)
		require.False(t, prune(t, digest))
		require.True(t, exists(t, tag))
	})

	t.Run("a digest that is kept runs without a pull when others are pruned", func(t *testing.T) {
		stale, kept := s.Registry+"/contract/prune-kept:v1", s.Registry+"/contract/prune-kept:v2"
		build(t, stale, "stale")
		build(t, kept, "kept")
		staleDigest, keptDigest := push(t, stale), push(t, kept)
		pull(t, staleDigest)
		pull(t, keptDigest)
		for _, image := range []string{stale, kept, staleDigest} {
			require.True(t, prune(t, image), image)
		}
		require.True(t, exists(t, keptDigest))
		spec := s.spec(t, "contract-prune-kept")
		spec.Image = keptDigest
		s.run(t, spec)
		require.Equal(t, runtime.Running, s.inspect(t, spec.Name).State)
	})
}
