package attempt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

func TestAFaultCrossesTemporalUnchanged(t *testing.T) {
	sent := fault.New(fault.PortInUse, "start container shop-api.next: port 8080 is in use").WithHint("stop what holds it")
	sent.Component, sent.Node, sent.Port, sent.Log = "api", "rift", 8080, []string{"a", "b"}
	got := attempt.FaultOf(attempt.ToTemporal(fmt.Errorf("outer: %w", sent), false))
	require.Equal(t, "outer: "+sent.Message, got.Message)
	require.Equal(t, sent.Hint, got.Hint)
	require.Equal(t, []any{"api", "rift", 8080, []string{"a", "b"}}, []any{got.Component, got.Node, got.Port, got.Log})
}

func TestATimeoutReturnsTheFailureBeforeIt(t *testing.T) {
	last := attempt.ToTemporal(fault.New(fault.Unavailable, "podman does not answer"), true)
	timeout := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, last)
	require.Equal(t, "podman does not answer", attempt.FaultOf(timeout).Message)
	require.Nil(t, attempt.FaultOf(nil))
}

func TestATimeoutWithoutAFailureReportsTheLastProgress(t *testing.T) {
	timeout := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil, attempt.Progress{Phase: "pull", Detail: "r.example/api:v1"})
	f := attempt.FaultOf(timeout)
	require.Equal(t, fault.Unavailable, f.Kind)
	require.Equal(t, "no answer in time; the last progress: pull, r.example/api:v1", f.Message)
	require.Equal(t, "no answer in time", attempt.FaultOf(temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)).Message)
}
