package fleet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

func TestProblemsOfAnEdge(t *testing.T) {
	e := fleet.EdgeState{
		Stale: []string{"shop"},
		Problems: map[string][]string{
			"blog": {"port 80 is taken", "port 22 is taken"}, "shop": {"port 80 is taken", "refused: the version is 0"},
		},
		Status: &fleet.EdgeStatus{Problems: []string{"port 80 is taken"}},
	}
	require.Equal(t, []string{"port 80 is taken", "refused: the version is 0"}, e.ProblemsNow(true), "port 22 is free by now")
	require.Equal(t, []string{"port 80 is taken", "port 22 is taken", "refused: the version is 0"}, e.ProblemsNow(false))
	e.Status = nil
	require.Equal(t, []string{"port 80 is taken", "refused: the version is 0"}, e.ProblemsNow(true))
	require.Empty(t, fleet.EdgeState{}.ProblemsNow(false))
}
