package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// prunings are the calls that pruned, in order.
func (s *harness) prunings() []string {
	var found []string
	for _, call := range s.calls {
		if rest, ok := strings.CutPrefix(call, "PruneImages "); ok {
			found = append(found, rest)
		}
	}
	return found
}

// staleShop sets up a shop whose commit makes an image stale, and whose api's image
// has to be built.
func staleShop(t *testing.T) *harness {
	t.Helper()
	s := newHarness(t)
	s.released(shop())
	delete(s.images, "r.example/api:v1")
	s.stale = fleet.CommitResult{
		Digests: []string{"r.example/api@sha256:a", "r.example/web@sha256:b"},
		Tags:    []string{"r.example/api:v0"},
	}
	return s
}

func TestStaleImagesArePrunedFromTheBuilderAndThenTheNodes(t *testing.T) {
	s := staleShop(t)
	s.nodes["orion"], s.nodes["pollux"] = nil, nil
	s.release.Touched = []string{"pollux"}
	in := shop()
	in.Definition.Components[1].Node = "orion"
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.False(t, result.Dirty)
	pruned := s.prunings()
	require.Len(t, pruned, 4)
	require.ElementsMatch(t, []string{
		"node-orion r.example/api@sha256:a,r.example/web@sha256:b",
		"node-pollux r.example/api@sha256:a,r.example/web@sha256:b",
		"node-rift r.example/api@sha256:a,r.example/web@sha256:b",
	}, pruned[1:])
	require.Equal(t, "build-orion r.example/api:v0", pruned[0])
}

func TestOnlyABuilderThatHasJustBuiltIsAskedToPrune(t *testing.T) {
	s := staleShop(t)
	s.images["r.example/api:v1"] = "sha256:pushed-by-hand"
	require.Equal(t, workflows.Succeeded, s.deploy(t, shop()).Outcome)
	require.Equal(t, []string{"node-rift r.example/api@sha256:a,r.example/web@sha256:b"}, s.prunings())
}

func TestANodeThatDidNotAnswerIsNotAskedToPrune(t *testing.T) {
	s := staleShop(t)
	s.nodes["orion"] = nil
	s.fail = failing("Survey rift", 3, fault.New(fault.Unavailable, "podman does not answer")) // until Mend is at it
	in := shop()
	for i := range in.Definition.Components {
		in.Definition.Components[i].Node = "orion"
	}
	require.Equal(t, workflows.Succeeded, s.deploy(t, in).Outcome)
	require.Equal(t, []string{
		"build-orion r.example/api:v0",
		"node-orion r.example/api@sha256:a,r.example/web@sha256:b",
	}, s.prunings())
}

func TestWhatCannotBePrunedStaysAndTheDeployHasSucceeded(t *testing.T) {
	for name, refuse := range map[string]func(s *harness){
		"the engine is away": func(s *harness) {
			s.fail = failing("PruneImages", 0, fault.New(fault.Unavailable, "podman does not answer"))
		},
		"a newer deployment has begun": func(s *harness) {
			s.fail = failing("PruneImages", 0, fault.New(fault.Conflict, "deployment 8 of shop is over"))
		},
		"no worker takes it": func(s *harness) {
			s.env.OnActivity("PruneImages", mock.Anything, mock.Anything).Return(activities.PruneImagesResult{},
				temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := staleShop(t)
			refuse(s)
			result := s.deploy(t, shop())
			require.Equal(t, workflows.Succeeded, result.Outcome)
			require.False(t, result.Dirty)
			require.Empty(t, result.Undone)
			require.Nil(t, result.Error)
			require.Empty(t, s.prunings())
			require.Less(t, result.ElapsedMS, (3 * time.Minute).Milliseconds(), "it is bounded")
			changes := s.changes()
			require.Equal(t, "FinishDeployment succeeded", changes[len(changes)-1])
		})
	}
}

func TestACancelDoesNotKeepStaleImages(t *testing.T) {
	s := staleShop(t)
	s.fail = failing("CommitRelease", 5, fault.New(fault.Unavailable, "Postgres does not answer"))
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Len(t, s.prunings(), 2)
}

func TestADeployThatFailsPrunesNothing(t *testing.T) {
	s := staleShop(t)
	s.fail = failing("RunContainer shop-api", 0, errUnhealthy)
	require.Equal(t, workflows.Failed, s.deploy(t, shop()).Outcome)
	require.Empty(t, s.prunings())
}
