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
