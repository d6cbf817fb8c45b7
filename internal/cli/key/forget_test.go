package key

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/workers"
)

func TestWhatIsLostIsNamed(t *testing.T) {
	require.Equal(t, []string{
		"blog: the definition of deployment 2, to which no rollback leads then, the message of 1 failed deployment",
		"shop: the definition of release 7, which runs on, the definitions of deployments 1–3, 5, to which no rollback leads then, " +
			"the definition that was given last, the messages of 2 failed deployments, the output of 1 step, the output of 3 runs of jobs",
		"workflow deploy/shop, which cannot go on: it is terminated",
		"schedule monitor, which cannot be read: it is made again",
		"for good: a host that has a copy of key k could read all of it; look with mcp key list there",
	}, losses("k", []fleet.LostRecords{
		{Service: "blog", Deployments: []int{2}, Failures: 1},
		{Service: "shop", Release: 7, Deployments: []int{1, 2, 3, 5}, Given: true, Failures: 2, Steps: 1, Runs: 3},
	}, workers.Stuck{Schedules: []string{"monitor"}, Runs: []*common.WorkflowExecution{{WorkflowId: "deploy/shop"}}}))
	require.Equal(t, []string{"the record of key k, with which nothing is encrypted any more"}, losses("k", nil, workers.Stuck{}))
}

func TestTheKeysThatAreMissingAreNamed(t *testing.T) {
	ring := keyring.Ring{Keys: []keyring.Key{{ID: "here"}}}
	require.Equal(t, "it needs, and the file of keys lacks: lost", exit.FaultOf(unknownKey("typo", []string{"here", "lost"}, ring)).Hint)
	require.Equal(t, "the file of keys has all that it needs: mcp key list", exit.FaultOf(unknownKey("typo", []string{"here"}, ring)).Hint)
}
