package onnode

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/attempt"
)

// The slot of an attempt that hangs is free when the attempt is given up.
func TestASlotIsGivenBackByAnAttemptThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, hung := NewSlots(), make(chan struct{})
		defer close(hung)
		take := func(wait bool) error {
			_, err := attempt.ReportingTo(t.Context(), func(attempt.Progress) {}, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
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
		require.ErrorContains(t, take(true), "no progress within ")
		require.NoError(t, take(false))
	})
}
