package workflows_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

func TestAServiceOfAHundredComponents(t *testing.T) {
	const n = 100
	in := shop()
	in.Definition.Components = nil
	for i := range n {
		in.Definition.Components = append(in.Definition.Components, servicedef.Component{
			Name: fmt.Sprintf("c%d", i), Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst,
			Routes: []servicedef.Route{{Name: "http", Port: 10000 + i, Mode: "l4"}},
		})
	}
	calls := func(s *harness, verb string) int { return strings.Count("\n"+strings.Join(s.calls, "\n"), "\n"+verb) }

	t.Run("is deployed as one", func(t *testing.T) {
		s := newHarness(t)
		result := s.deploy(t, in)
		require.Equal(t, workflows.Succeeded, result.Outcome)
		require.Equal(t, n, calls(s, "RunContainer"))
		require.Equal(t, 1, calls(s, "CutOver"))
		require.Equal(t, 1, calls(s, "ImageExists"), "of one image")
		encoded, err := json.Marshal(result)
		require.NoError(t, err)
		require.Less(t, len(encoded), 512<<10, "Temporal warns of payloads from here on")
	})
	t.Run("is undone as one", func(t *testing.T) {
		s := newHarness(t)
		s.fail = failing("RunContainer shop-c99", 0, errUnhealthy)
		require.Equal(t, workflows.Failed, s.deploy(t, in).Outcome)
		require.Equal(t, 1, calls(s, "Restore"))
		require.Zero(t, calls(s, "CutOver"))
	})
}

func TestATimeoutNamesItsStep(t *testing.T) {
	late := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil, attempt.Progress{Phase: "push", Detail: "Copying blob"})
	silent := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil)
	for activity, test := range map[string]struct {
		result any // that the activity has besides its error
		err    error
		want   string
	}{
		"ImageExists":  {oncontrol.ImageExistsResult{}, silent, "look up image r.example/api:v1: no answer in time"},
		"Survey":       {onnode.SurveyResult{}, silent, "survey rift: no answer in time"},
		"Build":        {onbuilder.BuildResult{}, silent, "build r.example/api:v1: no answer in time"},
		"Push":         {nil, late, "push r.example/api:v1: no answer in time; the last progress: push, Copying blob"},
		"RunContainer": {onnode.RunContainerResult{}, silent, "run shop-api: no answer in time"},
	} {
		t.Run(activity, func(t *testing.T) {
			s := newHarness(t)
			if activity == "Build" || activity == "Push" {
				delete(s.images, "r.example/api:v1")
			}
			in := shop()
			in.Definition.Components = in.Definition.Components[:1]
			returns := []any{test.err}
			if test.result != nil {
				returns = []any{test.result, test.err}
			}
			s.env.OnActivity(activity, mock.Anything, mock.Anything).Return(returns...)
			result := s.deploy(t, in)
			require.Equal(t, workflows.Failed, result.Outcome)
			require.Equal(t, fault.Unavailable, result.Error.Kind)
			require.Equal(t, test.want, result.Error.Message)
		})
	}
}
