package fleet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

func TestAnAnswerIsTheClaimantsOrARivals(t *testing.T) {
	claim := fleet.Claim{Machine: fleet.Machine{ID: "m1", Boot: "b2"}}
	require.False(t, fleet.Answer{Machine: fleet.Machine{ID: "m1", Boot: "b2", Hostname: "x"}}.Rivals(claim))
	require.True(t, fleet.Answer{Machine: fleet.Machine{ID: "m1", Boot: "b1"}}.Rivals(claim), "a clone")
	require.True(t, fleet.Answer{Machine: fleet.Machine{ID: "m2", Boot: "b1"}}.Rivals(claim))
}
