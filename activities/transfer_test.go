package activities_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// busy is an engine that is slow, and counts calls.
type busy struct {
	*runtime.Fake
	mu           sync.Mutex
	here         bool // the image
	pulls        int
	running, top int
	refuse       *fault.Error // to push
}

// Push hangs, or is refused.
func (b *busy) Push(ctx context.Context, _ runtime.PushSpec) error {
	if b.refuse != nil {
		return b.refuse
	}
	<-ctx.Done()
	return fmt.Errorf("push: %w", ctx.Err())
}

func (b *busy) ImageExists(context.Context, string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.here, nil
}

func (b *busy) Pull(context.Context, runtime.PullSpec) error {
	time.Sleep(time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.here = true
	b.pulls++
	return nil
}

func (b *busy) Run(ctx context.Context, spec runtime.ContainerSpec) (string, error) {
	b.enter(1)
	defer b.enter(-1)
	time.Sleep(time.Second)
	return b.Fake.Run(ctx, spec)
}

func (b *busy) enter(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running += n
	b.top = max(b.top, b.running)
}

func TestAPushThatHangsIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t)
		w.Runtime = &busy{Fake: w.engine}
		began := time.Now()
		f := activities.FaultOf(push(w))
		require.Equal(t, fault.Unavailable, f.Kind, "which is retried")
		require.Equal(t, "push registry.test:5000/api:v1: not done after 5m0s, half of the time that was left", f.Message)
		require.Contains(t, f.Hint, "check that the host of builder orion can reach image registry registry.test:5000")
		require.Equal(t, 5*time.Minute, time.Since(began).Round(time.Second), "of the ten that the test environment gives")
	})
}

func TestARefusedTransferHintsWhereToLogIn(t *testing.T) {
	w := newWorkshop(t)
	w.Runtime = &busy{Fake: w.engine, refuse: fault.New(fault.Unauthorized, "push: denied")}
	f := activities.FaultOf(push(w))
	require.Equal(t, fault.Unauthorized, f.Kind)
	require.Contains(t, f.Hint, "podman login registry.test:5000 on the host of builder orion")
}

func TestManyStartsShareSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		engine := &busy{Fake: h.engine}
		h.Runtime = engine
		var group sync.WaitGroup
		for i := range 30 {
			group.Go(func() {
				c := api(1, func(c *activities.ComponentSpec) { c.Definition.Name = fmt.Sprint("c", i) })
				_, err := newActivities(context.Background(), h.Node).ExecuteActivity(h.RunContainer, activities.RunContainerInput{Component: c})
				require.NoError(t, err)
			})
		}
		group.Wait()
		require.Equal(t, 1, engine.pulls, "one pulls for all")
		require.Equal(t, activities.ParallelStarts, engine.top)
	})
}

func TestAWaitForASlotCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		engine := &busy{Fake: h.engine, here: true}
		h.Runtime = engine
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(500*time.Millisecond, func() { stop(activities.ErrStopping) })
		var group sync.WaitGroup
		for i := range activities.ParallelStarts + 1 {
			group.Go(func() {
				env := newActivities(context.Background(), h.Node)
				if i == activities.ParallelStarts {
					time.Sleep(time.Millisecond) // it comes last
					env = newActivities(ctx, h.Node)
				}
				c := api(1, func(c *activities.ComponentSpec) { c.Definition.Name = fmt.Sprint("c", i) })
				began := time.Now()
				_, err := env.ExecuteActivity(h.RunContainer, activities.RunContainerInput{Component: c})
				if i < activities.ParallelStarts {
					require.NoError(t, err)
					return
				}
				require.Equal(t, activities.ErrStopping.Message, activities.FaultOf(err).Message)
				require.Less(t, time.Since(began), time.Second)
			})
		}
		group.Wait()
	})
}
