package activities_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
)

func TestAFaultCrossesTemporalWhole(t *testing.T) {
	sent := fault.New(fault.PortInUse, "start container shop-api.next: port 8080 is in use").WithHint("stop what holds it")
	sent.Component, sent.Node, sent.Port, sent.Log = "api", "rift", 8080, []string{"a", "b"}
	got := activities.FaultOf(activities.ToTemporal(fmt.Errorf("outer: %w", sent), 1))
	require.Equal(t, "outer: "+sent.Message, got.Message)
	require.Equal(t, sent.Hint, got.Hint)
	require.Equal(t, []any{"api", "rift", 8080, []string{"a", "b"}}, []any{got.Component, got.Node, got.Port, got.Log})
}

func TestOnlyWhatTimeCanMendIsRetried(t *testing.T) {
	tests := map[string]struct {
		err     error
		attempt int32
		retried bool
	}{
		"an outage, for ever":             {fault.New(fault.Unavailable, "x"), 1000, true},
		"what nobody knows, at first":     {errors.New("x"), 1, true},
		"what nobody knows, not for ever": {errors.New("x"), 3, false},
		"a bad request never":             {fault.New(fault.Invalid, "x"), 1, false},
		"an unhealthy container never":    {fault.New(fault.Unhealthy, "x"), 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var app *temporal.ApplicationError
			require.ErrorAs(t, activities.ToTemporal(test.err, test.attempt), &app)
			require.Equal(t, test.retried, !app.NonRetryable())
		})
	}
}

func TestATimeoutGivesTheFailureBeforeIt(t *testing.T) {
	last := activities.ToTemporal(fault.New(fault.Unavailable, "podman does not answer"), 7)
	timeout := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, last)
	require.Equal(t, "podman does not answer", activities.FaultOf(timeout).Message)
	require.Nil(t, activities.FaultOf(nil))
}
