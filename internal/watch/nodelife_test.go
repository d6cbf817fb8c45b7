package watch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

func TestJudge(t *testing.T) {
	mine := fleet.Machine{ID: "m1", Boot: "b1", Hostname: "one"}
	rebooted := fleet.Machine{ID: "m1", Boot: "b2", Hostname: "renamed"}
	other := fleet.Machine{ID: "m2", Boot: "b3", Hostname: "two"}
	none := fleet.Machine{}
	for _, test := range []struct {
		name    string
		holder  fleet.Machine
		claims  fleet.Machine
		silent  *fleet.Machine
		verdict fleet.Verdict
	}{
		{"a worker that is restarted", mine, mine, nil, fleet.ClaimGranted},
		{"a host that has been renamed", fleet.Machine{ID: "m1", Boot: "b1"}, mine, nil, fleet.ClaimGranted},
		{"a machine that was booted, or its clone", mine, rebooted, nil, fleet.ClaimOpen},
		{"a machine that was booted: no other answers", mine, rebooted, &mine, fleet.ClaimGranted},
		{"another machine claimed the name while the queue was asked", rebooted, fleet.Machine{ID: "m1", Boot: "b3"}, &mine, fleet.ClaimOpen},
		{"another machine", mine, other, nil, fleet.ClaimRefused},
		{"another machine, although none answers", mine, other, &mine, fleet.ClaimRefused},
		{"an unclaimed name", none, other, nil, fleet.ClaimOpen},
		{"an unclaimed name, and no machine answers", none, other, &none, fleet.ClaimGranted},
		{"a name that was claimed meanwhile", mine, other, &none, fleet.ClaimRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			claim := fleet.Claim{Node: "rift", Machine: test.claims, Silent: test.silent}
			require.Equal(t, test.verdict, watch.Judge(fleet.Holder{Machine: test.holder}, claim))
		})
	}
}
