package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

func TestAPlanPassesOverWhatIsAboutToGo(t *testing.T) {
	for name, held := range map[string]bool{"while the deploy retires it": true, "not after it was terminated": false} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.released(shop())
			s.release.Retiring = true
			s.deploying = func() bool { return held }
			s.nodes["rift"] = append(s.nodes["rift"], fleet.Container{Name: "shop-api.prev", Service: "shop", Component: "api", Deployment: 6})
			s.env.ExecuteWorkflow(workflows.PlanName, shop())
			var planned workflows.PlanResult
			require.NoError(t, s.env.GetWorkflowResult(&planned))
			require.Equal(t, held, planned.Plan.Unchanged())
		})
	}
}
