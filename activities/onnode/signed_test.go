package onnode_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
)

// seals refuses each image that is not in the list, and records what it is asked.
type seals struct {
	valid []string
	asked []string
}

func (s *seals) Check(_ context.Context, image string, present bool) error {
	word := " to be pulled"
	if present {
		word = " here"
	}
	s.asked = append(s.asked, image+word)
	for _, valid := range s.valid {
		if image == valid {
			return nil
		}
	}
	return fault.New(fault.Invalid, "image %s is refused: it has no signature", image)
}

func TestANodeRefusesAnImageWithoutASignature(t *testing.T) {
	h := newHost(t)
	checked := &seals{}
	h.Signatures = checked
	f := h.run(api(1))
	require.Equal(t, fault.Invalid, f.Kind)
	require.Equal(t, "rift", f.Node)
	require.Equal(t, "api", f.Component)
	require.Empty(t, h.names(t), "no container was created")
	require.Equal(t, fault.Invalid, h.do(h.FetchImage, onnode.RunContainerInput{Component: api(1)}).Kind)
	task := onnode.TaskSpec{Component: api(1)}
	task.ID, task.Name = "run/migrate/1", "migrate"
	require.Equal(t, fault.Invalid, h.do(h.StartTask, task).Kind, "steps and jobs are checked too")
	require.Empty(t, h.names(t))
	require.Equal(t, image+" here", checked.asked[0])

	t.Run("what a reconcile puts back is not refused, if the node has it", func(t *testing.T) {
		reconciled := func(c *activities.ComponentSpec) { c.Again = true }
		require.Nil(t, h.run(api(2, reconciled)))
		missing := func(c *activities.ComponentSpec) { c.Image = "registry.test:5000/api@sha256:def" }
		require.Equal(t, fault.Invalid, h.run(api(3, reconciled, missing)).Kind)
		require.Equal(t, "registry.test:5000/api@sha256:def to be pulled", checked.asked[len(checked.asked)-1])
	})
	t.Run("a signed image runs", func(t *testing.T) {
		checked.valid = []string{image}
		require.Nil(t, h.run(api(4)))
	})
}
