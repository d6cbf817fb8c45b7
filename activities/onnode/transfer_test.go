package onnode_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/attempt/attempttest"
	"github.com/metacircular/mcp/activities/onnode"
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

func TestManyStartsShareSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		engine := &busy{Fake: h.engine}
		h.Runtime = engine
		var group sync.WaitGroup
		for i := range 30 {
			group.Go(func() {
				c := api(1, func(c *activities.ComponentSpec) { c.Definition.Name = fmt.Sprint("c", i) })
				_, err := attempttest.New(context.Background(), h.Node).ExecuteActivity(h.RunContainer, onnode.RunContainerInput{Component: c})
				require.NoError(t, err)
			})
		}
		group.Wait()
		require.Equal(t, 1, engine.pulls, "one pulls for all")
		require.Equal(t, onnode.ParallelStarts, engine.top)
	})
}

func TestAWaitForASlotCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		engine := &busy{Fake: h.engine, here: true}
		h.Runtime = engine
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(500*time.Millisecond, func() { stop(attempt.ErrStopping) })
		var group sync.WaitGroup
		for i := range onnode.ParallelStarts + 1 {
			group.Go(func() {
				env := attempttest.New(context.Background(), h.Node)
				if i == onnode.ParallelStarts {
					time.Sleep(time.Millisecond) // it comes last
					env = attempttest.New(ctx, h.Node)
				}
				c := api(1, func(c *activities.ComponentSpec) { c.Definition.Name = fmt.Sprint("c", i) })
				began := time.Now()
				_, err := env.ExecuteActivity(h.RunContainer, onnode.RunContainerInput{Component: c})
				if i < onnode.ParallelStarts {
					require.NoError(t, err)
					return
				}
				require.Equal(t, attempt.ErrStopping.Message, attempt.FaultOf(err).Message)
				require.Less(t, time.Since(began), time.Second)
			})
		}
		group.Wait()
	})
}

func TestAnImageIsFetchedBeforeItsContainerIsStarted(t *testing.T) {
	h := newHost(t)
	tag := h.engine.Registry.Address + "/api:v1"
	h.engine.Registry.Add(tag)
	digest, _ := h.engine.Registry.Digest(tag)
	pulls := 0
	h.engine.Before = func(method, _ string) error {
		if method == "Pull" {
			pulls++
		}
		return nil
	}
	in := onnode.RunContainerInput{Component: api(2, func(c *activities.ComponentSpec) { c.Image = h.engine.Registry.Address + "/api@" + digest })}
	require.Nil(t, h.do(h.FetchImage, in))
	require.Nil(t, h.do(h.FetchImage, in), "twice")
	require.Empty(t, h.names(t))
	require.Nil(t, h.do(h.RunContainer, in))
	require.Equal(t, 1, pulls)

	missing := in
	missing.Component.Image = h.engine.Registry.Address + "/api@sha256:gone"
	f := h.do(h.FetchImage, missing)
	require.NotNil(t, f)
	require.Equal(t, "rift", f.Node)
	in.Component.Deployment = 1
	require.Equal(t, fault.Conflict, h.do(h.FetchImage, in).Kind, "a newer deployment has been here")
}
