package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

// exited is the refusal of a node on which a new container does not run any more.
func exited(container, component string) *fault.Error {
	f := fault.New(fault.Unhealthy, "container %s.next exited with code 3 after it was healthy", container)
	f.Component = component
	return f
}

func TestACutOverThatIsRefusedIsUndone(t *testing.T) {
	s := newHarness(t)
	s.released(shop())
	refused := exited("shop-web", "web")
	s.cutOver = func(string) onnode.CutOverResult { return onnode.CutOverResult{Refused: refused} }
	in := shop()
	in.Force = true
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.False(t, result.Dirty)
	require.Equal(t, refused.Message, result.Error.Message)
	require.Equal(t, []string{
		"CutOver shop-api,shop-web",
		"Restore rift remove[shop-web.next shop-api.next] rename[] start[shop-web]",
		"ReleasePorts",
		"FinishDeployment failed",
	}, s.changes()[4:])
}

// apart is shop with web on another node, new containers for both, and what the nodes
// hold when orion has cut over and rift has not.
func apart(s *harness) (in workflows.DeployInput, halfway func()) {
	in = shop()
	in.Force = true
	in.Definition.Components[1].Node = "orion"
	s.nodes["orion"] = nil
	s.released(in)
	return in, func() {
		api, web := s.nodes["rift"][0], s.nodes["orion"][0]
		next := func(c fleet.Container, name string) fleet.Container {
			c.Name, c.Deployment = name, 8
			return c
		}
		ended := next(api, "shop-api.next")
		ended.Running = false
		prev := web
		prev.Name, prev.Running = "shop-web.prev", false // it was stopped first
		s.nodes["rift"] = []fleet.Container{api, ended}
		s.nodes["orion"] = []fleet.Container{prev, next(web, "shop-web")}
	}
}

func TestANodeThatBootedBeforeItsCutOverFollowsTheOther(t *testing.T) {
	s := newHarness(t)
	in, halfway := apart(s)
	refusals := 0
	s.cutOver = func(node string) onnode.CutOverResult {
		if node != "rift" || refusals == 1 {
			return onnode.CutOverResult{Boot: s.booted[node]}
		}
		refusals++
		s.booted["rift"] = "second"
		halfway()
		return onnode.CutOverResult{Refused: exited("shop-api", "api"), Boot: "second"}
	}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Succeeded, result.Outcome)
	require.False(t, result.Dirty)
	calls := strings.Join(s.changes(), "\n")
	require.Equal(t, 2, strings.Count(calls, "RunContainer shop-api "), calls)
	require.Equal(t, 1, strings.Count(calls, "RunContainer shop-web "), calls)
	require.Equal(t, 2, strings.Count(calls, "CutOver shop-api"), calls)
	require.Equal(t, 1, strings.Count(calls, "CutOver shop-web"), calls)
	require.NotContains(t, calls, "Restore")
}

func TestACutOverThatOneNodeRefusesIsPutBackOnTheOther(t *testing.T) {
	for name, test := range map[string]struct {
		boot    string // of rift, when it refuses
		restart error  // why the container does not start again
		cause   string
	}{
		"its container has ended by itself":         {"", nil, exited("shop-api", "api").Message},
		"its container does not start after a boot": {"second", errUnhealthy, errUnhealthy.Message},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			in, halfway := apart(s)
			s.cutOver = func(node string) onnode.CutOverResult {
				if node != "rift" {
					return onnode.CutOverResult{}
				}
				s.booted["rift"] = test.boot
				halfway()
				return onnode.CutOverResult{Refused: exited("shop-api", "api"), Boot: test.boot}
			}
			s.fail = func(call string, _ int32) error {
				if s.booted["rift"] != "" && strings.HasPrefix(call, "RunContainer") {
					return test.restart
				}
				return nil
			}
			result := s.deploy(t, in)
			require.Equal(t, workflows.Failed, result.Outcome)
			require.False(t, result.Dirty, result.Undone)
			require.Equal(t, test.cause, result.Error.Message)
			calls := s.changes()
			end := calls[len(calls)-4:]
			require.ElementsMatch(t, []string{
				"Restore rift remove[shop-api.next] rename[] start[]",
				"Restore orion remove[shop-web] rename[{shop-web.prev shop-web}] start[shop-web]",
			}, end[:2])
			require.Equal(t, []string{"ReleasePorts", "FinishDeployment failed"}, end[2:])
		})
	}
}

func TestACutOverThatFailsHalfWayIsPutBackWhereNodesAnswer(t *testing.T) {
	s := newHarness(t)
	in, halfway := apart(s)
	over := fault.New(fault.Conflict, "deployment 8 of shop is over")
	s.fail = func(call string, _ int32) error {
		if call != "CutOver shop-api" {
			return nil
		}
		halfway()
		s.fail = failing("Survey rift", 0, over)
		return over
	}
	result := s.deploy(t, in)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.True(t, result.Dirty)
	require.Equal(t, []string{"on rift put back the release: deployment 8 of shop is over"}, result.Undone)
	require.Contains(t, s.changes(), "Restore orion remove[shop-web] rename[{shop-web.prev shop-web}] start[shop-web]")
}
