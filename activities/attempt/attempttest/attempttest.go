// Package attempttest runs activities in tests as a worker runs them.
package attempttest

import (
	"context"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities/attempt"
)

// New returns an environment that serves one struct of activities, which are cancelled
// when ctx ends.
func New(ctx context.Context, served any) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{
		Interceptors:              []interceptor.WorkerInterceptor{attempt.NewInterceptor()},
		BackgroundActivityContext: ctx,
	})
	env.RegisterActivity(served)
	return env
}
