package workers

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An engine that hangs is named by the check, which answers at once, and is asked no
// more often than without requests.
func TestTheCheckOfAnEngineThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		var asked atomic.Int32
		hung := make(chan struct{})
		defer close(hung)
		p := newPings("podman on rift", func(context.Context) error {
			asked.Add(1)
			if hangs.Load() {
				<-hung // whatever its context says
			}
			return nil
		})
		defer p.stop()
		require.NoError(t, p.check(t.Context()), "it waits for the first answer")
		hangs.Store(true)
		time.Sleep(pingEvery + pingTime)
		synctest.Wait()
		began := time.Now()
		for range 100 {
			require.EqualError(t, p.check(t.Context()), "podman on rift does not answer")
		}
		require.Equal(t, began, time.Now())
		require.Equal(t, int32(2), asked.Load())
		hangs.Store(false)
		time.Sleep(pingEvery + pingTime)
		synctest.Wait()
		require.NoError(t, p.check(t.Context()))
	})
}

func TestTheCheckOfAnEngineThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPings("podman on rift", func(context.Context) error { return errors.New("connection refused") })
		defer p.stop()
		require.EqualError(t, p.check(t.Context()), "podman on rift does not answer: connection refused")
	})
}
