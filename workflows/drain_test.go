package workflows_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// What has a successor serves for the whole of its drain, since a client may use the port
// of its node. What is removed goes when the edges have no request left.
func TestHowLongPredecessorsServeBehindEdges(t *testing.T) {
	unsaid := func(s *harness) { s.fail = failing("DrainRoute edge2", 0, untaken) }
	restarted := func(in workflows.DeployInput) workflows.DeployInput { return request(fleet.VerbRestart) }
	reduced := func(in workflows.DeployInput) workflows.DeployInput {
		in.Definition.Components = in.Definition.Components[:1]
		return in
	}
	for name, c := range map[string]struct {
		given func(s *harness)
		next  func(in workflows.DeployInput) workflows.DeployInput
		want  time.Duration
	}{
		"replaced":                             {func(*harness) {}, restarted, 5 * time.Second},
		"replaced, and an edge cannot say":     {unsaid, restarted, 5 * time.Second},
		"replaced, without an edge":            {func(s *harness) { s.release.Edges = nil }, restarted, 5 * time.Second},
		"removed":                              {func(*harness) {}, reduced, 0},
		"removed, and an edge cannot say":      {unsaid, reduced, 5 * time.Second},
		"removed, without an edge to wait for": {func(s *harness) { s.release.Edges = nil }, reduced, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.fronted(shopfront())
			c.given(s)
			var committed, retired time.Time
			fail := s.fail
			s.fail = func(call string, attempt int32) error {
				switch {
				case strings.HasPrefix(call, "CommitRelease"):
					committed = s.env.Now()
				case strings.HasPrefix(call, "Retire"):
					retired = s.env.Now()
				}
				return fail(call, attempt)
			}
			result := s.deploy(t, c.next(shopfront()))
			require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
			require.InDelta(t, c.want, retired.Sub(committed), float64(500*time.Millisecond))
			require.Less(t, result.ElapsedMS, int64(500), "the deploy has succeeded before that")
			for _, drain := range s.edges.drained {
				require.Equal(t, 5*time.Second, drain)
			}
		})
	}
}

// An edge that has to connect to Temporal again is away for longer than a publication waits,
// and would send requests to predecessors that are gone.
func TestPredecessorsServeUntilAnEdgeThatWasAwayIsAskedAgain(t *testing.T) {
	s := newHarness(t)
	s.fronted(shopfront())
	var asked int
	s.fail = func(call string, _ int32) error {
		if strings.HasPrefix(call, "PublishRoutes edge2 shop@3") {
			if asked++; asked == 1 {
				return untaken
			}
		}
		return nil
	}
	result := s.deploy(t, request(fleet.VerbRestart))
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.Equal(t, 2, asked)
	require.Nil(t, result.Edges[1].Error)
	require.Contains(t, s.calls, "RecordPublished edge1 has shop@3, edge2 has shop@3")
	changes := s.changes()
	first := func(prefix string) int {
		return slices.IndexFunc(changes, func(call string) bool { return strings.HasPrefix(call, prefix) })
	}
	require.Greater(t, first("PublishRoutes edge2 shop@3"), 0)
	require.Greater(t, first("Retire "), first("PublishRoutes edge2 shop@3"))
	require.Less(t, result.ElapsedMS, int64(500), "the deploy has succeeded before that")
}
