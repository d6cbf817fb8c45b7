package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// restarting makes the node's worker miss the first so many surveys, and returns the
// time that was left for each.
func (s *harness) restarting(misses int) *[]time.Duration {
	var left []time.Duration
	s.env.OnActivity("Survey", mock.Anything, mock.Anything).Return(func(ctx context.Context, _ onnode.SurveyInput) (onnode.SurveyResult, error) {
		left = append(left, activity.GetInfo(ctx).ScheduleToCloseTimeout)
		if len(left) <= misses {
			return onnode.SurveyResult{}, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
		}
		return onnode.SurveyResult{FreePorts: []int{20000, 20001, 20002}}, nil
	})
	return &left
}

func TestANodeThatRestartsIsWaitedFor(t *testing.T) {
	s := newHarness(t)
	s.seen = func() time.Time { return s.env.Now().Add(-30 * time.Second) }
	surveys := s.restarting(1)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
	require.Len(t, *surveys, 2)
}

func TestANodeThatStaysAwayIsReportedWithItsAbsence(t *testing.T) {
	s := newHarness(t)
	s.seen = func() time.Time { return s.env.Now().Add(-30 * time.Second) }
	s.restarting(2)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, "node rift: no worker polls node-rift; it was last seen 30s ago", result.Error.Message)
	require.Equal(t, "start one on that host: mcp worker --node rift", result.Error.Hint)
	require.Equal(t, "rift", result.Error.Node)
}

func TestANodeThatIsAwayForLongIsNotWaitedFor(t *testing.T) {
	s := newHarness(t)
	s.seen = func() time.Time { return s.env.Now().Add(-time.Hour) }
	surveys := s.restarting(1)
	result := s.deploy(t, shop())
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Len(t, *surveys, 1)
	require.Contains(t, result.Error.Message, "it was last seen 1h0m")
}

func TestAWaitForANodeEndsWithTheDeadline(t *testing.T) {
	s := newHarness(t)
	s.seen = s.env.Now
	left := s.restarting(2)
	in := shop()
	in.Deadline = 20 * time.Second
	require.Equal(t, workflows.Failed, s.deploy(t, in).Outcome)
	require.Len(t, *left, 2)
	require.LessOrEqual(t, (*left)[1], in.Deadline)
}

func TestADeployThatAnOlderNodeCannotCarryOutIsRefused(t *testing.T) {
	s := newHarness(t)
	s.unknown = "user"
	in := shop()
	in.Definition.Components[0].User = "1000"
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, fault.Invalid, result.Error.Kind)
	require.Contains(t, result.Error.Message, "sets user, which the mcp of node rift does not know")
	require.Contains(t, result.Error.Hint, "upgrade mcp on rift")
	require.NotContains(t, strings.Join(s.calls, "\n"), "RunContainer")
}
