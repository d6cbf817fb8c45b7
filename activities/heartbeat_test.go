package activities

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
)

// An activity that ends soon sends no heartbeat, and one that takes longer
// reports its progress by then.
func TestAnActivityThatTakesLongerReportsItsProgress(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		want  []Progress
	}{
		{"soon over", 0, nil},
		{"takes longer", firstHeartbeat + firstHeartbeat/2, []Progress{{Phase: "health", Detail: "probe 1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
			var heard []Progress
			env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
				var p Progress
				require.NoError(t, details.Get(&p))
				heard = append(heard, p)
			})
			work := func(ctx context.Context) (string, error) {
				return reporting(ctx, func(_ context.Context, r *reporter) (string, error) {
					r.set("pull", "")
					r.set("health", "probe 1")
					time.Sleep(c.takes)
					return "done", nil
				})
			}
			env.RegisterActivity(work)
			_, err := env.ExecuteActivity(work)
			require.NoError(t, err)
			require.Equal(t, c.want, heard)
		})
	}
}

// An activity that waits sends half as many heartbeats as one that has news.
func TestAHeartbeatWithoutNewsIsSkippedOnce(t *testing.T) {
	var heard []string
	r := &reporter{send: func(p Progress) { heard = append(heard, p.Detail) }}
	for _, detail := range []string{"a", "a", "a", "a", "b", "c", "c", "c"} {
		r.set("pull", detail)
		r.beat()
	}
	require.Equal(t, []string{"a", "a", "b", "c", "c"}, heard)
}
