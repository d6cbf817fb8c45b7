package workflows_test

import (
	"go/ast"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// Every set of options bounds one attempt.
func TestEveryPolicyBoundsAnAttempt(t *testing.T) {
	set, files := sources(t)
	found := 0
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			options, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			kind, ok := options.Type.(*ast.SelectorExpr)
			if !ok || !strings.HasSuffix(kind.Sel.Name, "ActivityOptions") {
				return true
			}
			found++
			bounded := false
			for _, field := range options.Elts {
				name, _ := field.(*ast.KeyValueExpr).Key.(*ast.Ident)
				bounded = bounded || name.Name == "StartToCloseTimeout"
			}
			assert.True(t, bounded, "%s has no StartToCloseTimeout", set.Position(options.Pos()))
			return true
		})
	}
	require.Positive(t, found)
}

// unreported is how long an attempt may last that sends no heartbeat.
const unreported = time.Minute

// longestLocal is how long a local activity may take. Temporal gives a workflow task ten
// seconds, and the SDK asks for more after eight of them.
const longestLocal = time.Second

// boundCheck fails a test in which an activity is started whose attempts nothing ends:
// each has a bound, and a long one sends heartbeats, which end with its progress.
type boundCheck struct {
	interceptor.WorkerInterceptorBase
	t *testing.T
}

func (c *boundCheck) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &boundInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, c.t}
}

type boundInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	t *testing.T
}

func (i *boundInbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&boundOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}, i.t})
}

type boundOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	t *testing.T
}

func (o *boundOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	bound := options.StartToCloseTimeout
	assert.Positive(o.t, bound, "%s has no StartToCloseTimeout", name)
	assert.True(o.t, bound <= unreported || options.HeartbeatTimeout > 0, "%s may last %s, and sends no heartbeat", name, bound)
	return o.Next.ExecuteActivity(ctx, name, args...)
}

func (o *boundOutbound) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetLocalActivityOptions(ctx)
	assert.Positive(o.t, options.StartToCloseTimeout, "%s has no StartToCloseTimeout", name)
	assert.Positive(o.t, options.ScheduleToCloseTimeout, "%s has no ScheduleToCloseTimeout", name)
	assert.LessOrEqual(o.t, options.ScheduleToCloseTimeout, longestLocal, name)
	if assert.NotNil(o.t, options.RetryPolicy, name) {
		assert.EqualValues(o.t, 1, options.RetryPolicy.MaximumAttempts, "a worker counts the attempts of %s in its memory alone", name)
	}
	return o.Next.ExecuteLocalActivity(ctx, name, args...)
}
