package exit_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
)

func TestWhatAGatewayRefusesIsReached(t *testing.T) {
	err := exit.Temporal(serviceerror.NewPermissionDenied("the gateway refuses StartWorkflowExecution to reader/guest", exit.DoorRefuses+"service"))
	require.False(t, exit.IsUnreachable(err))
	require.Equal(t, fault.Unauthorized, fault.Of(err).Kind)
	require.Equal(t, "the gateway refuses StartWorkflowExecution to reader/guest", fault.Of(err).Message)
	err = exit.Temporal(serviceerror.NewPermissionDenied("Request unauthorized.", ""))
	require.True(t, exit.IsUnreachable(err), "Temporal itself refuses the credentials")
}

func TestAnErrorThatIsTranslatedAlreadyStays(t *testing.T) {
	away := exit.Unreachable(fault.New(fault.Unavailable, "Temporal at rift:7233 does not answer").WithHint("start it"))
	require.Equal(t, away, exit.Temporal(away))
	require.Equal(t, exit.Interrupted, exit.Temporal(exit.Interrupted))
}
