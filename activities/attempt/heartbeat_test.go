package attempt

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
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
				return Reporting(ctx, func(_ context.Context, r *Reporter) (string, error) {
					r.Set("pull", "")
					r.Set("health", "probe 1")
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
	_, v, end := KeepVigil(t.Context())
	defer end()
	r := &Reporter{vigil: v, send: func(p Progress) { heard = append(heard, p.Detail) }}
	for _, detail := range []string{"a", "a", "a", "a", "b", "c", "c", "c"} {
		r.Set("pull", detail)
		r.beat()
	}
	require.Equal(t, []string{"a", "a", "b", "c", "c"}, heard)
}

// Heartbeats go on while the work makes progress within its patience, and no longer.
func TestHeartbeatsEndWithTheProgress(t *testing.T) {
	for _, c := range []struct {
		name string
		// moves is how often the work makes progress, each time after pause.
		moves   int
		pause   time.Duration
		set     func(ctx context.Context, r *Reporter)
		stalled time.Duration // after which the attempt ends
	}{
		{"none", 0, 0, func(context.Context, *Reporter) {}, Patience},
		{"some", 3, time.Minute, func(ctx context.Context, _ *Reporter) { runtime.Progress(ctx)() }, 3*time.Minute + Patience},
		{"phases", 3, time.Minute, func(_ context.Context, r *Reporter) { r.Set("start", "shop-api") }, 3*time.Minute + Patience},
		{"a pull", 1, time.Second, func(_ context.Context, r *Reporter) { r.Set("pull", "a blob") }, time.Second + copyPatience},
		{"a build", 1, time.Second, func(_ context.Context, r *Reporter) { r.Set("build", "STEP 1/2") }, time.Second + buildPatience},
		{"a stop", 1, time.Second, func(ctx context.Context, _ *Reporter) { Allow(ctx, time.Hour) }, time.Second + Patience + time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				beats, hung := 0, make(chan struct{})
				defer close(hung)
				began := time.Now()
				_, err := ReportingTo(t.Context(), func(Progress) { beats++ }, func(ctx context.Context, r *Reporter) (struct{}, error) {
					for range c.moves {
						time.Sleep(c.pause)
						c.set(ctx, r)
					}
					<-hung
					return struct{}{}, nil
				})
				require.Equal(t, fault.Unavailable, fault.Of(err).Kind, err)
				require.ErrorContains(t, err, "no progress within ")
				require.Equal(t, c.stalled, time.Since(began))
				sent := beats
				require.InDelta(t, c.stalled/heartbeatEvery/2, sent, float64(c.moves+1))
				time.Sleep(time.Hour)
				require.Equal(t, sent, beats, "none of an attempt that is over")
			})
		})
	}
}

// Work that waits for others, which are watched themselves, may wait for long.
func TestAWaitForASlotIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := ReportingTo(t.Context(), func(Progress) {}, func(_ context.Context, r *Reporter) (struct{}, error) {
			r.Set("wait", "for a slot to start")
			time.Sleep(24 * time.Hour)
			return struct{}{}, nil
		})
		require.NoError(t, err)
	})
}

// A worker outlives work that panics in a goroutine of its own.
func TestWorkThatPanicsFails(t *testing.T) {
	_, err := ReportingTo(t.Context(), func(Progress) {}, func(context.Context, *Reporter) (struct{}, error) { panic("no such map") })
	require.ErrorContains(t, err, "panic: no such map")
}
