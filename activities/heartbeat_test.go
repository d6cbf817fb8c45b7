package activities

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
	_, v, end := keepVigil(t.Context())
	defer end()
	r := &reporter{vigil: v, send: func(p Progress) { heard = append(heard, p.Detail) }}
	for _, detail := range []string{"a", "a", "a", "a", "b", "c", "c", "c"} {
		r.set("pull", detail)
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
		set     func(ctx context.Context, r *reporter)
		stalled time.Duration // after which the attempt ends
	}{
		{"none", 0, 0, func(context.Context, *reporter) {}, patience},
		{"some", 3, time.Minute, func(ctx context.Context, _ *reporter) { runtime.Progress(ctx)() }, 3*time.Minute + patience},
		{"phases", 3, time.Minute, func(_ context.Context, r *reporter) { r.set("start", "shop-api") }, 3*time.Minute + patience},
		{"a pull", 1, time.Second, func(_ context.Context, r *reporter) { r.set("pull", "a blob") }, time.Second + copyPatience},
		{"a build", 1, time.Second, func(_ context.Context, r *reporter) { r.set("build", "STEP 1/2") }, time.Second + buildPatience},
		{"a stop", 1, time.Second, func(ctx context.Context, _ *reporter) { allow(ctx, time.Hour) }, time.Second + patience + time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				beats, hung := 0, make(chan struct{})
				defer close(hung)
				began := time.Now()
				_, err := reportingTo(t.Context(), func(Progress) { beats++ }, func(ctx context.Context, r *reporter) (struct{}, error) {
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
		_, err := reportingTo(t.Context(), func(Progress) {}, func(_ context.Context, r *reporter) (struct{}, error) {
			r.set("wait", "for a slot to start")
			time.Sleep(24 * time.Hour)
			return struct{}{}, nil
		})
		require.NoError(t, err)
	})
}

// The slot of an attempt that hangs is free when the attempt is given up.
func TestASlotIsGivenBackByAnAttemptThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, hung := NewSlots(), make(chan struct{})
		defer close(hung)
		attempt := func(wait bool) error {
			_, err := reportingTo(t.Context(), func(Progress) {}, func(ctx context.Context, r *reporter) (struct{}, error) {
				done, err := slots.take(ctx, r, "pull", 1)
				if err != nil {
					return struct{}{}, err
				}
				defer done()
				if wait {
					<-hung
				}
				return struct{}{}, nil
			})
			return err
		}
		require.ErrorContains(t, attempt(true), "no progress within ")
		require.NoError(t, attempt(false))
	})
}

// A worker outlives work that panics in a goroutine of its own.
func TestWorkThatPanicsFails(t *testing.T) {
	_, err := reportingTo(t.Context(), func(Progress) {}, func(context.Context, *reporter) (struct{}, error) { panic("no such map") })
	require.ErrorContains(t, err, "panic: no such map")
}
