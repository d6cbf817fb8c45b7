package onnode_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// A question to a node whose engine hangs is answered with its name, before the
// attempt ends.
func TestAQuestionNamesAnEngineThatHangs(t *testing.T) {
	for name, question := range map[string]func(h *host) *fault.Error{
		"Survey":         func(h *host) *fault.Error { _, f := h.survey(1); return f },
		"ListContainers": func(h *host) *fault.Error { return h.do(h.ListContainers, onnode.ListContainersInput{}) },
		"ObserveNode": func(h *host) *fault.Error {
			_, err := h.env.ExecuteActivity(h.ObserveNode)
			return attempt.FaultOf(err)
		},
		"DiagnoseNode": func(h *host) *fault.Error {
			value, err := h.env.ExecuteActivity(h.DiagnoseNode)
			if err != nil {
				return fault.Of(err)
			}
			var found onnode.NodeDiagnosis
			if err := value.Get(&found); err != nil {
				return fault.Of(err)
			}
			return found.Engine
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				h.Host = machine{}
				hung := make(chan struct{})
				defer close(hung)
				h.engine.Before = func(string, string) error { <-hung; return nil }
				began := time.Now()
				f := question(h)
				require.NotNil(t, f)
				require.Equal(t, fault.Unavailable, f.Kind)
				require.Equal(t, "podman on rift does not answer", f.Message)
				require.Less(t, time.Since(began), 10*time.Second)
			})
		})
	}
}

// hanging is a host one of whose mounts hangs.
type hanging struct{ until chan struct{} }

func (h hanging) Status(context.Context, string, []string) (fleet.NodeStatus, error) {
	<-h.until
	return fleet.NodeStatus{}, nil
}

func TestAnObservationNamesAMountThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		hung := make(chan struct{})
		defer close(hung)
		h.Host = hanging{hung}
		_, err := h.env.ExecuteActivity(h.ObserveNode)
		require.Equal(t, "the file systems of rift do not answer", attempt.FaultOf(err).Message)
	})
}
