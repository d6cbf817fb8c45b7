package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
)

func TestJudge(t *testing.T) {
	mine := plan.Machine{ID: "m1", Boot: "b1", Hostname: "one"}
	rebooted := plan.Machine{ID: "m1", Boot: "b2", Hostname: "renamed"}
	other := plan.Machine{ID: "m2", Boot: "b3", Hostname: "two"}
	nobody := plan.Machine{}
	for _, test := range []struct {
		name    string
		holder  plan.Machine
		claims  plan.Machine
		silent  *plan.Machine
		verdict plan.Verdict
	}{
		{"a worker that is restarted", mine, mine, nil, plan.ClaimGranted},
		{"a host that has another name by now", plan.Machine{ID: "m1", Boot: "b1"}, mine, nil, plan.ClaimGranted},
		{"a machine that was booted, or its clone", mine, rebooted, nil, plan.ClaimOpen},
		{"a machine that was booted: nobody else answers", mine, rebooted, &mine, plan.ClaimGranted},
		{"another has claimed the name while it was asked", rebooted, plan.Machine{ID: "m1", Boot: "b3"}, &mine, plan.ClaimOpen},
		{"another machine", mine, other, nil, plan.ClaimRefused},
		{"another machine, although nobody answers", mine, other, &mine, plan.ClaimRefused},
		{"a name that nobody has", nobody, other, nil, plan.ClaimOpen},
		{"a name that nobody has, and nobody answers", nobody, other, &nobody, plan.ClaimGranted},
		{"a name that somebody came to have meanwhile", mine, other, &nobody, plan.ClaimRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			claim := plan.Claim{Node: "rift", Machine: test.claims, Silent: test.silent}
			require.Equal(t, test.verdict, plan.Judge(plan.Holder{Machine: test.holder}, claim))
		})
	}
}

func TestWhoAnswersForANodeIsTheClaimantOrARival(t *testing.T) {
	claim := plan.Claim{Machine: plan.Machine{ID: "m1", Boot: "b2"}}
	require.False(t, plan.Answer{Machine: plan.Machine{ID: "m1", Boot: "b2", Hostname: "x"}}.Rivals(claim))
	require.True(t, plan.Answer{Machine: plan.Machine{ID: "m1", Boot: "b1"}}.Rivals(claim), "a clone")
	require.True(t, plan.Answer{Machine: plan.Machine{ID: "m2", Boot: "b1"}}.Rivals(claim))
}
