package onbuilder_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// refusing is an engine that refuses to push, or hangs.
type refusing struct {
	*runtime.Fake
	with *fault.Error
}

func (r *refusing) Push(ctx context.Context, _ runtime.PushSpec) error {
	if r.with != nil {
		return r.with
	}
	<-ctx.Done()
	return fmt.Errorf("push: %w", ctx.Err())
}

func TestAPushThatHangsIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t)
		w.Runtime = &refusing{Fake: w.engine}
		began := time.Now()
		f := attempt.FaultOf(push(w))
		require.Equal(t, fault.Unavailable, f.Kind, "which is retried")
		require.Equal(t, "push registry.test:5000/api:v1: not done after 5m0s, half of the time that was left", f.Message)
		require.Contains(t, f.Hint, "check that the host of builder orion can reach image registry registry.test:5000")
		require.Equal(t, 5*time.Minute, time.Since(began).Round(time.Second), "of the ten that the test environment gives")
	})
}

func TestARefusedTransferHintsWhereToLogIn(t *testing.T) {
	w := newWorkshop(t)
	w.Runtime = &refusing{Fake: w.engine, with: fault.New(fault.Unauthorized, "push: denied")}
	f := attempt.FaultOf(push(w))
	require.Equal(t, fault.Unauthorized, f.Kind)
	require.Contains(t, f.Hint, "podman login registry.test:5000 on the host of builder orion")
}

// signer records what it signs.
type signer struct{ asked []string }

func (s *signer) Sign(_ context.Context, image string) error {
	s.asked = append(s.asked, "sign "+image)
	return nil
}

func TestABuilderSignsWhatItHasSent(t *testing.T) {
	w := newWorkshop(t)
	w.engine.AddImages("registry.test:5000/api:v1")
	signed := &signer{}
	w.Signer = signed
	_, err := w.env.ExecuteActivity(w.Push, onbuilder.PushInput{Image: "registry.test:5000/api:v1"})
	require.NoError(t, err)
	digest, found := w.engine.Registry.Digest("registry.test:5000/api:v1")
	require.True(t, found)
	require.Equal(t, []string{"sign registry.test:5000/api@" + digest}, signed.asked)

	t.Run("nothing that was not sent", func(t *testing.T) {
		_, err := w.env.ExecuteActivity(w.Push, onbuilder.PushInput{Image: "registry.test:5000/none:v1"})
		require.Error(t, err)
		require.Len(t, signed.asked, 1)
	})
}

func TestAnImageThatCannotBePrunedDoesNotKeepOthers(t *testing.T) {
	w := newWorkshop(t)
	w.engine.AddImages("api:v1", "api:v2", "api:v3")
	w.engine.Before = func(method, name string) error {
		if method == "PruneImage" && name == "api:v1" {
			return fault.New(fault.Internal, "prune image %s: the disk is broken", name)
		}
		return nil
	}
	in := activities.PruneImagesInput{Service: "shop", Deployment: 1, Images: []string{"api:v1", "api:v2"}}
	_, err := w.env.ExecuteActivity(w.PruneImages, in)
	require.Equal(t, "prune image api:v1: the disk is broken", attempt.FaultOf(err).Message)
	for image, kept := range map[string]bool{"api:v1": true, "api:v2": false, "api:v3": true} {
		exists, err := w.engine.ImageExists(t.Context(), image)
		require.NoError(t, err)
		require.Equal(t, kept, exists, image)
	}

	w.engine.Before = nil
	value, err := w.env.ExecuteActivity(w.PruneImages, in)
	require.NoError(t, err)
	var result activities.PruneImagesResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, []string{"api:v1"}, result.Pruned)
}
