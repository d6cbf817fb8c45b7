package fleet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

func TestJudge(t *testing.T) {
	mine := fleet.Machine{ID: "m1", Boot: "b1", Hostname: "one"}
	rebooted := fleet.Machine{ID: "m1", Boot: "b2", Hostname: "renamed"}
	other := fleet.Machine{ID: "m2", Boot: "b3", Hostname: "two"}
	nobody := fleet.Machine{}
	for _, test := range []struct {
		name    string
		holder  fleet.Machine
		claims  fleet.Machine
		silent  *fleet.Machine
		verdict fleet.Verdict
	}{
		{"a worker that is restarted", mine, mine, nil, fleet.ClaimGranted},
		{"a host that has another name by now", fleet.Machine{ID: "m1", Boot: "b1"}, mine, nil, fleet.ClaimGranted},
		{"a machine that was booted, or its clone", mine, rebooted, nil, fleet.ClaimOpen},
		{"a machine that was booted: nobody else answers", mine, rebooted, &mine, fleet.ClaimGranted},
		{"another has claimed the name while it was asked", rebooted, fleet.Machine{ID: "m1", Boot: "b3"}, &mine, fleet.ClaimOpen},
		{"another machine", mine, other, nil, fleet.ClaimRefused},
		{"another machine, although nobody answers", mine, other, &mine, fleet.ClaimRefused},
		{"a name that nobody has", nobody, other, nil, fleet.ClaimOpen},
		{"a name that nobody has, and nobody answers", nobody, other, &nobody, fleet.ClaimGranted},
		{"a name that somebody came to have meanwhile", mine, other, &nobody, fleet.ClaimRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			claim := fleet.Claim{Node: "rift", Machine: test.claims, Silent: test.silent}
			require.Equal(t, test.verdict, fleet.Judge(fleet.Holder{Machine: test.holder}, claim))
		})
	}
}

func TestWhoAnswersForANodeIsTheClaimantOrARival(t *testing.T) {
	claim := fleet.Claim{Machine: fleet.Machine{ID: "m1", Boot: "b2"}}
	require.False(t, fleet.Answer{Machine: fleet.Machine{ID: "m1", Boot: "b2", Hostname: "x"}}.Rivals(claim))
	require.True(t, fleet.Answer{Machine: fleet.Machine{ID: "m1", Boot: "b1"}}.Rivals(claim), "a clone")
	require.True(t, fleet.Answer{Machine: fleet.Machine{ID: "m2", Boot: "b1"}}.Rivals(claim))
}
