package onnode_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

const (
	staleOne = "registry.test:5000/api@sha256:one"
	staleTwo = "registry.test:5000/api@sha256:two"
)

// prune prunes images for a deployment, and returns those that were removed.
func prune(env *testsuite.TestActivityEnvironment, activity any, deployment int, images ...string) ([]string, *fault.Error) {
	value, err := env.ExecuteActivity(activity, activities.PruneImagesInput{Service: "shop", Deployment: deployment, Images: images})
	if err != nil {
		return nil, attempt.FaultOf(err)
	}
	var result activities.PruneImagesResult
	if err := value.Get(&result); err != nil {
		return nil, fault.Of(err)
	}
	return result.Pruned, nil
}

// here are those of the images that an engine has.
func here(t *testing.T, engine *runtime.Fake, images ...string) []string {
	t.Helper()
	var found []string
	for _, image := range images {
		exists, err := engine.ImageExists(t.Context(), image)
		require.NoError(t, err)
		if exists {
			found = append(found, image)
		}
	}
	return found
}

func TestANodePrunesNamedImagesThatAreNotUsed(t *testing.T) {
	h := newHost(t)
	h.engine.AddImages(staleOne, staleTwo, "registry.test:5000/api:theirs")
	require.Nil(t, h.run(api(1)))

	pruned, f := prune(h.env, h.PruneImages, 1, staleOne, image, staleTwo, "registry.test:5000/never@sha256:here")
	require.Nil(t, f)
	require.Equal(t, []string{staleOne, staleTwo}, pruned)
	require.Equal(t, []string{image, "registry.test:5000/api:theirs"},
		here(t, h.engine, staleOne, staleTwo, image, "registry.test:5000/api:theirs"))

	pruned, f = prune(h.env, h.PruneImages, 1, staleOne, image, staleTwo)
	require.Nil(t, f)
	require.Empty(t, pruned, "twice is once")
}

func TestALatePruneTouchesNothing(t *testing.T) {
	t.Run("when a newer deployment has been seen", func(t *testing.T) {
		h := newHost(t)
		h.engine.AddImages(staleOne)
		require.Nil(t, h.do(h.Survey, onnode.SurveyInput{Service: "shop", Deployment: 2}))
		_, f := prune(h.env, h.PruneImages, 1, staleOne)
		require.Equal(t, fault.Conflict, f.Kind)
		require.Equal(t, "rift", f.Node)
		require.Equal(t, []string{staleOne}, here(t, h.engine, staleOne))
	})
	t.Run("when one begins meanwhile", func(t *testing.T) {
		h := newHost(t)
		h.engine.AddImages(staleOne, staleTwo)
		h.engine.Before = func(method, name string) error {
			if method == "PruneImage" && name == staleOne {
				_, err := h.Survey(t.Context(), onnode.SurveyInput{Service: "shop", Deployment: 2})
				return err
			}
			return nil
		}
		_, f := prune(h.env, h.PruneImages, 1, staleOne, staleTwo)
		require.Equal(t, fault.Conflict, f.Kind)
		require.Equal(t, []string{staleTwo}, here(t, h.engine, staleOne, staleTwo))
	})
}

func TestAnImageThatIsPrunedBeforeItsContainerIsCreatedIsPulledAgain(t *testing.T) {
	h := newHost(t)
	tag := h.engine.Registry.Address + "/api:v1"
	h.engine.Registry.Add(tag)
	digest, _ := h.engine.Registry.Digest(tag)
	byDigest := h.engine.Registry.Address + "/api@" + digest
	gone := 0
	h.engine.Before = func(method, _ string) error {
		if method == "Run" && gone > 0 {
			gone--
			_, err := h.engine.PruneImage(t.Context(), byDigest)
			return err
		}
		return nil
	}
	next := func(n int) *fault.Error {
		return h.run(api(n, func(c *activities.ComponentSpec) { c.Image = byDigest }))
	}
	gone = 1
	require.Nil(t, next(1))
	require.Equal(t, []string{"shop-api.next:1:running"}, h.names(t))

	require.NoError(t, h.engine.Remove(t.Context(), "shop-api.next"))
	gone = 2
	require.Equal(t, fault.NotFound, next(2).Kind, "not for ever")
}
