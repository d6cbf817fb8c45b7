package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

func TestLeftoversOfStepsGoAndJobsStay(t *testing.T) {
	step := fleet.Container{Name: "shop-migrate.run-1", ID: "1", Service: "shop", Deployment: 3, Running: true, Task: fleet.Task{ID: "a", Kind: fleet.StepTask, Name: "migrate"}}
	job := fleet.Container{Name: "shop-report.run-2", ID: "2", Service: "shop", Deployment: 2, Running: true, Task: fleet.Task{ID: "b", Kind: fleet.JobTask, Name: "report"}}
	nodes := map[string]plan.Node{"rift": {Reachable: true, Containers: []fleet.Container{step, job}}}
	require.Equal(t,
		[]plan.Recovery{{Node: "rift", Remove: []fleet.Ref{{Name: step.Name, ID: "1"}}}},
		plan.Leftovers(fleet.Release{Service: "shop"}, nodes))
}
