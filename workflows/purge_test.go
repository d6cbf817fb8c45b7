package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

func TestPurge(t *testing.T) {
	known := fleet.Forgotten{Service: "shop", Deployments: 3}
	tests := map[string]struct {
		known   fleet.Forgotten
		lost    bool // the answer to the attempt that forgot it
		fail    func(string, int32) error
		outcome workflows.Outcome
		kind    fault.Kind
	}{
		"forgets what there is":            {known: known, outcome: workflows.Succeeded},
		"finds nothing":                    {known: fleet.Forgotten{Service: "shop"}, outcome: workflows.Unchanged},
		"may lose an answer":               {known: known, lost: true, outcome: workflows.Succeeded},
		"waits for Postgres":               {known: known, fail: failing("Purge", 3, fault.New(fault.Unavailable, "no answer")), outcome: workflows.Succeeded},
		"is refused where it has anything": {fail: failing("Purge", 0, fault.New(fault.Conflict, "it has containers")), outcome: workflows.Failed, kind: fault.Conflict},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.known, s.purged = test.known, test.lost
			if test.fail != nil {
				s.fail = test.fail
			}
			in := workflows.PurgeInput{Service: "shop", Who: "operator", From: "somewhere", Deadline: 10 * time.Minute}
			require.Equal(t, workflows.PurgeName, in.Workflow())
			result := s.deploy(t, in)
			require.Equal(t, test.outcome, result.Outcome)
			require.Equal(t, "shop", result.Service)
			require.NotNil(t, result.Components)
			if test.kind != "" {
				require.Equal(t, test.kind, result.Error.Kind)
				return
			}
			require.Equal(t, []string{"Purge shop dry=true", "Purge shop dry=false"}, s.calls)
			require.Equal(t, test.known, *result.Forgotten)
		})
	}
}

func TestPurgeableOnlyCounts(t *testing.T) {
	s := newHarness(t)
	s.known = fleet.Forgotten{Service: "shop", Events: 2}
	s.env.ExecuteWorkflow(reads.PurgeableName, "shop")
	var known fleet.Forgotten
	require.NoError(t, s.env.GetWorkflowResult(&known))
	require.Equal(t, s.known, known)
	require.Equal(t, []string{"Purge shop dry=true"}, s.calls)
}
