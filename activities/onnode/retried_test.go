package onnode_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
)

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
			env.SetTestTimeout(time.Minute)
			env.SetWorkerOptions(worker.Options{
				Interceptors: []interceptor.WorkerInterceptor{attempt.NewInterceptor()}, DeadlockDetectionTimeout: time.Minute,
			})
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
