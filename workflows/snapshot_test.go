package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

func TestARollbackGoesBackToWhatRanBefore(t *testing.T) {
	for _, test := range []struct {
		name string
		// history has the verbs of deployments 1, 2 …; one with "!" left the service
		// inactive, one with "?" failed.
		history string
		want    int
	}{
		{"nothing before", "deploy", 0},
		{"the deploy before", "deploy deploy", 1},
		{"no failed one", "deploy deploy? deploy", 1},
		{"no restart of it", "deploy restart deploy reconcile restart", 1},
		{"before a stop", "deploy deploy stop!", 2},
		{"before an undeploy", "deploy deploy undeploy!", 2},
		{"before a stop and a start", "deploy stop! start deploy", 1},
		{"before a deploy of an inactive definition", "deploy deploy deploy!", 2},
		{"past an inactive release", "deploy deploy! deploy", 1},
		{"a start of an inactive release", "deploy deploy! start undeploy!", 3},
		{"a restart after such a start", "deploy deploy! start restart undeploy!", 4},
		{"before a start of an inactive release", "deploy deploy! start", 1},
		{"a start, replaced by a deploy", "deploy deploy! start deploy", 3},
		{"never active", "deploy! undeploy!", 0},
		{"a rollback is a release", "deploy deploy rollback deploy", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			var history reads.HistoryResult
			for i, word := range strings.Fields(test.history) {
				d := fleet.DeploymentRecord{
					Number: i + 1, Verb: strings.TrimRight(word, "!?"), Active: !strings.HasSuffix(word, "!"), Outcome: "succeeded",
				}
				if strings.HasSuffix(word, "?") {
					d.Outcome = "failed"
				} else {
					history.Release = d.Number
				}
				history.Deployments = append([]fleet.DeploymentRecord{d}, history.Deployments...)
			}
			require.Equal(t, test.want, workflows.RollbackTarget(history))
		})
	}
}
