package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

func TestHistoryIsThinnedUpToAFullHour(t *testing.T) {
	s := newHarness(t)
	s.env.SetStartTime(time.Date(2026, 3, 10, 14, 5, 17, 0, time.UTC))
	s.fail = failing("ThinHistory", 2, fault.New(fault.Unavailable, "Postgres restarts"))
	s.env.ExecuteWorkflow(tend.RetentionName)
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"ThinHistory 2026-03-08T14:00:00Z"}, s.calls)
}

func TestThinningThatDoesNotEndIsLeftToTheNext(t *testing.T) {
	s := newHarness(t)
	s.fail = failing("ThinHistory", 0, fault.New(fault.Unavailable, "Postgres does not answer"))
	began := s.env.Now()
	s.env.ExecuteWorkflow(tend.RetentionName)
	require.ErrorContains(t, s.env.GetWorkflowError(), "Postgres does not answer")
	require.Less(t, s.env.Now().Sub(began), 2*time.Minute)
}

func TestTheHistoryOfANodeIsReadByTemporalsClock(t *testing.T) {
	s := newHarness(t)
	now := s.env.Now()
	s.env.ExecuteWorkflow(reads.NodeHistoryName, reads.NodeHistoryInput{Node: "rift", Since: time.Hour})
	var h fleet.NodeHistory
	require.NoError(t, s.env.GetWorkflowResult(&h))
	require.True(t, h.From.Equal(now.Add(-time.Hour)), h.From)
}
