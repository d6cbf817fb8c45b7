package podman_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// store is a private podman whose images a test inspects.
type store struct {
	*podman.Engine
	socket  string
	context string
}

func newStore(t *testing.T) *store {
	t.Helper()
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	return &store{podman.New(service.Socket()), service.Socket(), t.TempDir()}
}

// build builds an image that adds one file, with that content, to an image, and
// returns its id.
func (s *store) build(t *testing.T, tag, from, content string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.context, "file"), []byte(content), 0o600))
	file := filepath.Join(t.TempDir(), "Containerfile")
	text := "FROM " + from + "\nCOPY file /" + content + "\nLABEL step=last\nCMD [\"/nothing\"]\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	id, err := s.Build(t.Context(), runtime.BuildSpec{Tag: tag, Context: s.context, Containerfile: file})
	require.NoError(t, err)
	return id
}

func (s *store) prune(t *testing.T, image string) {
	t.Helper()
	pruned, err := s.PruneImage(t.Context(), image)
	require.NoError(t, err)
	require.True(t, pruned, image)
}

// images returns the ids of all images, with or without a name.
func (s *store) images(t *testing.T) []string {
	t.Helper()
	var all []struct {
		ID string `json:"Id"`
	}
	require.NoError(t, ask(s.socket, "images/json?all=true", &all))
	var ids []string
	for _, image := range all {
		ids = append(ids, image.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestPruneRemovesTheStepsOfABuild(t *testing.T) {
	s := newStore(t)
	s.build(t, "localhost/prune/app:v1", "scratch", "one")
	before := s.images(t)
	require.Greater(t, len(before), 1, "a build leaves images of its steps")
	s.build(t, "localhost/prune/app:v2", "scratch", "two")
	s.prune(t, "localhost/prune/app:v2")
	require.Equal(t, before, s.images(t), "the other image keeps its steps")
	s.prune(t, "localhost/prune/app:v1")
	require.Empty(t, s.images(t))
}

func TestPruneKeepsABaseImageWithoutATag(t *testing.T) {
	s := newStore(t)
	base := s.build(t, "localhost/prune/base:v1", "scratch", "old")
	s.build(t, "localhost/prune/app:v1", "localhost/prune/base:v1", "app")
	s.build(t, "localhost/prune/base:v1", "scratch", "new")
	s.build(t, "localhost/prune/other:v1", base, "other")
	both := s.images(t)

	s.prune(t, "localhost/prune/other:v1")
	require.Contains(t, s.images(t), base)
	s.prune(t, "localhost/prune/app:v1")
	left := s.images(t)
	require.Contains(t, left, base)
	require.Len(t, left, len(both)-2*3, "the images of both builds on it are removed")
	for _, id := range left {
		require.Contains(t, both, id)
	}
}

func TestImagesArePrunedConcurrently(t *testing.T) {
	s := newStore(t)
	s.build(t, "localhost/prune/app:kept", "scratch", "kept")
	before := s.images(t)
	tags := []string{"localhost/prune/app:v1", "localhost/prune/app:v2", "localhost/prune/app:v3"}
	for _, tag := range tags {
		s.build(t, tag, "scratch", "same")
	}
	twice := slices.Concat(tags, tags)
	results := make(chan error)
	for _, tag := range twice {
		go func() {
			_, err := s.PruneImage(t.Context(), tag)
			results <- err
		}()
	}
	for range twice {
		require.NoError(t, <-results)
	}
	require.Equal(t, before, s.images(t))
}

func TestPruneRefusesAnInvalidReference(t *testing.T) {
	_, err := podman.New("unix:///nowhere/podman.sock").PruneImage(t.Context(), "Not A Reference")
	require.True(t, fault.Is(err, fault.Invalid), err)
}
