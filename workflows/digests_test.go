package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// An image that is given by its digest is looked for where it is to run.
func TestAnImageThatTheNodesHaveNeedsNoImageRegistry(t *testing.T) {
	old, older := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	api, web := "r.example/api@"+old, "r.example/web@"+older
	digests := map[string]string{"r.example/api:v1": old, "r.example/web:v1": older}
	for name, test := range map[string]struct {
		verb  fleet.Verb
		here  map[string][]string
		asked []string // of the image registry
		want  workflows.Outcome
	}{
		"the nodes have both":            {fleet.VerbRollback, map[string][]string{"rift": {api}, "orion": {web}}, nil, workflows.Succeeded},
		"so does a reconcile":            {fleet.VerbReconcile, map[string][]string{"rift": {api}, "orion": {web}}, nil, workflows.Succeeded},
		"a node has what another needs":  {fleet.VerbRollback, map[string][]string{"rift": {api, web}}, []string{web}, workflows.Succeeded},
		"no node has any, nor has it":    {fleet.VerbRollback, nil, []string{api}, workflows.Failed},
		"the definition names by digest": {fleet.VerbDeploy, map[string][]string{"rift": {api}, "orion": {web}}, nil, workflows.Succeeded},
		"it does, and no node has it":    {fleet.VerbDeploy, map[string][]string{"rift": {api}}, []string{web}, workflows.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.nodes["orion"] = nil
			s.here, s.images = test.here, map[string]string{web: older}
			in := shop()
			in.Verb, in.Release = test.verb, 5
			in.Definition.Components[1].Node = "orion"
			if test.verb == fleet.VerbDeploy {
				in.Definition.Components[0].Image, in.Definition.Components[1].Image = api, web
			} else {
				in.Digests = digests
			}
			var asked []string
			s.fail = func(call string, _ int32) error {
				if image, ok := cutCall(call, "ImageExists"); ok {
					asked = append(asked, image)
				}
				return nil
			}
			result := s.deploy(t, in)
			require.Equal(t, test.want, result.Outcome, result.Error)
			if test.want == workflows.Failed {
				require.Equal(t, fault.NotFound, result.Error.Kind)
				require.Equal(t, "image "+api+" of release 5 is gone from the image registry", result.Error.Message)
				require.Subset(t, asked, test.asked)
				return
			}
			require.Equal(t, test.asked, asked)
			require.Subset(t, s.calls, []string{"RunContainer shop-api " + api, "RunContainer shop-web " + web})
		})
	}
}

func TestAStepsOwnImageIsOfTheRelease(t *testing.T) {
	const tool, digest = "r.example/tool:v1", "sha256:tool1"
	own := func(rollback bool) func(*servicedef.Step) {
		return func(step *servicedef.Step) { step.Component, step.Image, step.Rollback = "", tool, rollback }
	}
	t.Run("as the image registry has it", func(t *testing.T) {
		s := newHarness(t)
		s.images[tool] = digest
		require.Equal(t, workflows.Succeeded, s.deploy(t, migrating(own(false))).Outcome)
		require.Contains(t, s.calls, "StartTask migrate r.example/tool@sha256:tool1 [up]")
		require.Equal(t, map[string]string{tool: digest}, s.committed.StepImages)
	})
	for name, runs := range map[string]bool{"as a rollback runs it": true, "as a rollback that does not run it has it": false} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.released(shop())
			s.images[tool] = "sha256:tool2" // the tag has moved
			s.images["r.example/tool@"+digest] = digest
			in := migrating(own(runs))
			in.Verb, in.Release, in.Force = fleet.VerbRollback, 1, true
			in.Digests = map[string]string{"r.example/api:v1": "sha256:api1", "r.example/web:v1": "sha256:web1", tool: digest}
			s.here = map[string][]string{"rift": {"r.example/api@sha256:api1", "r.example/web@sha256:web1"}}
			result := s.deploy(t, in)
			require.Equal(t, workflows.Succeeded, result.Outcome, result.Error)
			require.Equal(t, map[string]string{tool: digest}, s.committed.StepImages)
			if runs {
				require.Contains(t, s.calls, "ImageExists r.example/tool@sha256:tool1", "no node has it")
				require.Contains(t, s.calls, "StartTask migrate r.example/tool@sha256:tool1 [up]")
			}
		})
	}
	t.Run("as the release before had it, where nothing asks for it", func(t *testing.T) {
		s := newHarness(t)
		released := migrating(own(false))
		s.released(released)
		s.release.StepImages = map[string]string{tool: digest}
		in := released
		in.Verb = fleet.VerbRestart
		require.Equal(t, workflows.Succeeded, s.deploy(t, in).Outcome)
		require.Equal(t, map[string]string{tool: digest}, s.committed.StepImages)
	})
}
