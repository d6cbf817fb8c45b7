package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestAContainerThatAnEdgeDoesNotReachUndoesTheDeploy(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.edges.unreached = refused
	result := s.deploy(t, shopfront())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, fault.Unhealthy, result.Error.Kind)
	require.Regexp(t, `^edge edge[12] does not reach web at 10\.0\.0\.1:2000[01] on rift: connection refused$`, result.Error.Message)
	require.Contains(t, result.Error.Hint, "[node] publish")
	require.Equal(t, "rift", result.Error.Node)
	require.Equal(t, "web", result.Error.Component)
	require.NotContains(t, strings.Join(s.calls, "\n"), "CutOver")
	require.NotContains(t, strings.Join(s.calls, "\n"), "PublishRoutes")
}

// A node that is cut off for a moment is waited for.
func TestAnEdgeTriesAgainWhereNoHostAnswers(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.edges.silent = 5
	require.Equal(t, workflows.Succeeded, s.deploy(t, shopfront()).Outcome)
	require.Zero(t, s.edges.silent)

	s = newHarness(t)
	s.front()
	s.edges.silent = 1000
	result := s.deploy(t, shopfront())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, fault.Unavailable, result.Error.Kind)
	require.Contains(t, result.Error.Message, "does not reach web at 10.0.0.1:2000")
	require.Greater(t, s.edges.silent, 1000-2*25, "each of two edges asks once a second")
	require.NotContains(t, strings.Join(s.calls, "\n"), "CutOver")
}

func TestAnEdgeTriesAgainWhenWhatABootHasEndedRunsAgain(t *testing.T) {
	s := newHarness(t)
	s.front()
	s.edges.unreached = refused
	runs := 0
	s.fail = func(call string, _ int32) error {
		if strings.HasPrefix(call, "RunContainer shop-web") {
			if runs++; runs == 2 {
				s.booted["rift"], s.edges.unreached = "second", nil
			}
		}
		return nil
	}
	require.Equal(t, workflows.Succeeded, s.deploy(t, shopfront()).Outcome)
	require.Greater(t, runs, 1)
	require.NotContains(t, strings.Join(s.calls, "\n"), "Restore")
}

func TestEdgesDoNotConnectToWhatReceivesPackets(t *testing.T) {
	s := newHarness(t)
	s.front()
	in := shopfront()
	in.Definition.Components[1].Routes = []servicedef.Route{{Name: "log", Port: 514, Mode: "l4", Protocol: "udp", Edge: true}}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	var reached []string
	for _, call := range s.calls {
		if upstreams, found := strings.CutPrefix(call, "ReachUpstreams edge1 "); found {
			reached = append(reached, strings.Split(upstreams, "+")...)
		}
	}
	require.Len(t, reached, 1)
	require.Len(t, s.edges.last.Upstreams(), 2)
}

func TestAnEdgeThatCannotBeAskedWhatItReachesIsPassedOver(t *testing.T) {
	for name, err := range map[string]error{
		"it is away": untaken,
		"it hangs":   temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil),
		"it fails":   fault.New(fault.Internal, "no such activity"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.front()
			s.fail = failing("ReachUpstreams", 0, err)
			require.Equal(t, workflows.Succeeded, s.deploy(t, shopfront()).Outcome)
		})
	}
}
