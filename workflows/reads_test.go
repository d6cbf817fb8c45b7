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

// The reads that begin a rollback wait for Postgres as long as the rollback would;
// others end after seconds, because a person waits for them.
func TestAReadWaitsAsLongAsItsVerb(t *testing.T) {
	for name, read := range map[string]func(s *harness, wait time.Duration) error{
		"the history": func(s *harness, wait time.Duration) error {
			s.env.ExecuteWorkflow(reads.HistoryName, reads.HistoryInput{Service: "shop", Wait: wait})
			var result reads.HistoryResult
			return s.env.GetWorkflowResult(&result)
		},
		"a former release": func(s *harness, wait time.Duration) error {
			s.env.ExecuteWorkflow(workflows.SnapshotName, workflows.SnapshotInput{Service: "shop", Number: 6, Wait: wait})
			var snapshot fleet.Snapshot
			return s.env.GetWorkflowResult(&snapshot)
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Some 20 s away: attempts begin after 0.2, 0.4, 0.8 … 10 s.
			down := func(s *harness) {
				begin := s.env.Now()
				s.fail = func(string, int32) error {
					if s.env.Now().Sub(begin) < 20*time.Second {
						return fault.New(fault.Unavailable, "Postgres does not answer")
					}
					return nil
				}
			}
			long, short := newHarness(t), newHarness(t)
			down(long)
			require.NoError(t, read(long, 10*time.Minute))
			down(short)
			require.ErrorContains(t, read(short, 0), "Postgres does not answer")
		})
	}
}

// A rollback reads what it goes back to in one call.
func TestASnapshotFindsWhatARollbackGoesBackTo(t *testing.T) {
	deployed := func(numbers ...int) (list []fleet.DeploymentRecord) {
		for _, n := range numbers {
			list = append(list, fleet.DeploymentRecord{Number: n, Verb: "deploy", Active: true, Outcome: "succeeded"})
		}
		return list
	}
	for _, test := range []struct {
		name string
		past []fleet.DeploymentRecord
		in   workflows.SnapshotInput
		want workflows.SnapshotResult
	}{
		{"by its number", deployed(7, 6, 5), workflows.SnapshotInput{Number: 5}, workflows.SnapshotResult{Snapshot: fleet.Snapshot{Number: 5}}},
		{"the one before", deployed(7, 6, 5), workflows.SnapshotInput{}, workflows.SnapshotResult{Snapshot: fleet.Snapshot{Number: 6}, Release: 7, Deployed: true}},
		{"none before", deployed(7), workflows.SnapshotInput{}, workflows.SnapshotResult{Release: 7, Deployed: true}},
		{"never deployed", nil, workflows.SnapshotInput{}, workflows.SnapshotResult{Release: 7}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			s.release, s.past, test.in.Service = fleet.Release{Service: "shop", Number: 7}, test.past, "shop"
			s.env.ExecuteWorkflow(workflows.SnapshotName, test.in)
			var result workflows.SnapshotResult
			require.NoError(t, s.env.GetWorkflowResult(&result))
			require.Equal(t, test.want, result)
		})
	}
}
