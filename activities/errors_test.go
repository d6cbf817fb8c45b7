package activities_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
)

func TestAFaultCrossesTemporalUnchanged(t *testing.T) {
	sent := fault.New(fault.PortInUse, "start container shop-api.next: port 8080 is in use").WithHint("stop what holds it")
	sent.Component, sent.Node, sent.Port, sent.Log = "api", "rift", 8080, []string{"a", "b"}
	got := activities.FaultOf(activities.ToTemporal(fmt.Errorf("outer: %w", sent), false))
	require.Equal(t, "outer: "+sent.Message, got.Message)
	require.Equal(t, sent.Hint, got.Hint)
	require.Equal(t, []any{"api", "rift", 8080, []string{"a", "b"}}, []any{got.Component, got.Node, got.Port, got.Log})
}

func TestOnlyTransientFaultsAreRetried(t *testing.T) {
	outage, unknown := fault.New(fault.Unavailable, "x"), errors.New("x")
	const always = 10 // as often as the test environment tries anything
	tests := map[string]struct {
		activity string
		errs     []error // one an attempt; the last one again and again
		attempts int
	}{
		"an outage, for ever":                         {"Survey", []error{outage}, always},
		"an unknown error is not retried forever":     {"Survey", []error{unknown}, 3},
		"an outage resets the count":                  {"Survey", []error{unknown, unknown, outage, unknown}, 6},
		"a bad request never":                         {"Survey", []error{fault.New(fault.Invalid, "x")}, 1},
		"an unhealthy container never":                {"Survey", []error{fault.New(fault.Unhealthy, "x")}, 1},
		"an undo whatever it is":                      {"Restore", []error{unknown, fault.New(fault.Invalid, "x")}, always},
		"an undo, but not against a newer deployment": {"Restore", []error{fault.New(fault.Conflict, "x")}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			attempts := 0
			h.engine.Before = func(string, string) error {
				attempts++
				return test.errs[min(attempts, len(test.errs))-1]
			}
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestWorkflowEnvironment()
			env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{activities.NewInterceptor()}})
			env.RegisterActivity(h.Node)
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
				return workflow.ExecuteActivity(ctx, test.activity, map[string]any{"service": "shop", "deployment": 1}).Get(ctx, nil)
			})
			require.Error(t, env.GetWorkflowError())
			require.Equal(t, test.attempts, attempts)
		})
	}
}

func TestATimeoutReturnsTheFailureBeforeIt(t *testing.T) {
	last := activities.ToTemporal(fault.New(fault.Unavailable, "podman does not answer"), true)
	timeout := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, last)
	require.Equal(t, "podman does not answer", activities.FaultOf(timeout).Message)
	require.Nil(t, activities.FaultOf(nil))
}

func TestATimeoutWithoutAFailureReportsTheLastProgress(t *testing.T) {
	timeout := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil, activities.Progress{Phase: "pull", Detail: "r.example/api:v1"})
	f := activities.FaultOf(timeout)
	require.Equal(t, fault.Unavailable, f.Kind)
	require.Equal(t, "no answer in time; the last progress: pull, r.example/api:v1", f.Message)
	require.Equal(t, "no answer in time", activities.FaultOf(temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)).Message)
}
