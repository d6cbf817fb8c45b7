package onnode_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// by makes a component one of a run.
func by(run string) func(*activities.ComponentSpec) {
	return func(c *activities.ComponentSpec) { c.Run = run }
}

// ahead is the number that keeps a deployment of a run out, by a survey.
func (h *host) ahead(t *testing.T, n int, run string) int {
	t.Helper()
	value, err := h.env.ExecuteActivity(h.Survey, onnode.SurveyInput{Service: "shop", Deployment: n, Run: run})
	require.NoError(t, err)
	var found onnode.SurveyResult
	require.NoError(t, value.Get(&found))
	return found.Ahead
}

// A registry that was restored from a backup gives a number once more.
func TestANumberIsTheFirstRunsThatComesWithIt(t *testing.T) {
	for name, restart := range map[string]func(h *host){
		"by what this worker has seen":             func(*host) {},
		"by the labels, after a restart of worker": (*host).restartWorker,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			require.Nil(t, h.run(api(13, by("lost"))))
			require.Nil(t, h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: 13, Run: "lost", Replace: fleet.Refs("shop-api")}))
			restart(h)
			require.Equal(t, 13, h.ahead(t, 13, "new"))
			for step, do := range map[string]func() *fault.Error{
				"run": func() *fault.Error { return h.run(api(13, by("new"))) },
				"cut over": func() *fault.Error {
					return h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: 13, Run: "new", Leave: fleet.Refs("shop-api")})
				},
				"restore": func() *fault.Error {
					return h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 13, Run: "new", Recovery: plan.Recovery{Remove: fleet.Refs("shop-api")}})
				},
				"retire": func() *fault.Error {
					return h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: 13, Run: "new", Containers: fleet.Refs("shop-api")})
				},
				"stop": func() *fault.Error {
					return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 13, Run: "new", Container: fleet.Ref{Name: "shop-api"}})
				},
			} {
				f := do()
				require.NotNil(t, f, step)
				require.Equal(t, fault.Conflict, f.Kind, step)
			}
			require.Equal(t, []string{"shop-api:13:running"}, h.names(t))

			require.Zero(t, h.ahead(t, 14, "new"), "past it there is nothing in the way")
			require.Zero(t, h.ahead(t, 14, "new"), "nor is its own number")
			require.Nil(t, h.run(api(14, by("new"))))
			require.Equal(t, fault.Conflict, h.run(api(13, by("lost"))).Kind)
		})
	}
}

func TestALabelOfANumberThatNoRegistryGivesKeepsNobodyOut(t *testing.T) {
	for _, number := range []string{"9223372036854775807", "2147483646", "9999999999999999999999", "-3", "", "x", "1e3"} {
		h := newHost(t)
		_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api.next", Image: image, Labels: map[string]string{
			runtime.LabelService: "shop", runtime.LabelComponent: "api", runtime.LabelDeployment: number,
		}})
		require.NoError(t, err)
		require.Zero(t, h.ahead(t, 2, "run"), number)
		require.Nil(t, h.run(api(2, by("run"))), number)
		require.Equal(t, []string{"shop-api.next:2:running"}, h.names(t), number)
	}
}

// Whoever renames a container, and gives its name to another, has the right one retired
// and stopped.
func TestAContainerIsKnownByItsIDAndNotByItsName(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	require.Nil(t, h.cutOver(1))
	mine, err := h.engine.Inspect(t.Context(), "shop-api")
	require.NoError(t, err)
	require.NoError(t, h.engine.Rename(t.Context(), "shop-api", "mine"))
	_, err = h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image})
	require.NoError(t, err)

	gone := fleet.Ref{Name: "shop-api", ID: mine.ID}
	require.Nil(t, h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: gone}))
	require.Equal(t, []string{"mine:1:stopped", "shop-api::running"}, h.names(t))
	require.Nil(t, h.do(h.Restore, onnode.RestoreInput{Service: "shop", Deployment: 2, Recovery: plan.Recovery{Start: []fleet.Ref{gone}}}))
	require.Equal(t, []string{"mine:1:running", "shop-api::running"}, h.names(t))
	require.Nil(t, h.do(h.CutOver, onnode.CutOverInput{Service: "shop", Deployment: 2, Leave: []fleet.Ref{gone}}))
	require.Nil(t, h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: 2, Containers: []fleet.Ref{gone}}))
	require.Equal(t, []string{"shop-api::running"}, h.names(t))
}
