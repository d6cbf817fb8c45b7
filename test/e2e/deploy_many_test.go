package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// deployMany deploys several services, and returns the outcome of each.
func (w *world) deployMany(code int, args ...string) (map[string]workflows.Outcome, reply) {
	w.t.Helper()
	r := w.mcp(append([]string{"deploy", "--json"}, args...)...)
	require.Equal(w.t, code, r.code, r)
	var list []workflows.Result
	r.decode(w.t, &list)
	outcomes := map[string]workflows.Outcome{}
	for _, one := range list {
		outcomes[one.Service] = one.Outcome
	}
	return outcomes, r
}

func TestManyServicesAreDeployedSideBySide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	for _, name := range []string{"many-a", "many-b"} {
		w.define(name, w.service(name, "v1", ""))
	}
	w.define("many-c", strings.Replace(w.service("many-c", "v1", ""), "[build.images]\nmany-c = \"Containerfile\"\n", "", 1))

	outcomes, r := w.deployMany(1, "--all")
	require.Equal(t, map[string]workflows.Outcome{
		"many-a": workflows.Succeeded, "many-b": workflows.Succeeded, "many-c": workflows.Failed,
	}, outcomes)
	require.Regexp(t, `(?m)^many-a .*many-a: build`, r.stderr)
	require.Regexp(t, `(?m)^many-c error: image .* is not in the image registry`, r.stderr)
	require.Equal(t, "v1", w.fetch(w.routePort("many-b")))

	w.define("many-c", w.service("many-c", "v1", ""))
	w.source("v2", "")
	require.Zero(t, w.mcp("build", "many-b", "--force").code, "its tag moves")
	outcomes, _ = w.deployMany(0, "--changed")
	require.Equal(t, map[string]workflows.Outcome{"many-b": workflows.Succeeded, "many-c": workflows.Succeeded}, outcomes)
	require.Equal(t, "v2", w.fetch(w.routePort("many-b")))
	outcomes, _ = w.deployMany(0, "--changed")
	require.Empty(t, outcomes)
	outcomes, _ = w.deployMany(0, "--changed", "many-b")
	require.Empty(t, outcomes)

	plain := w.mcp("deploy", "many-b", "many-a")
	require.Zero(t, plain.code, plain)
	require.Less(t, strings.Index(plain.stdout, "many-b: unchanged"), strings.Index(plain.stdout, "many-a: unchanged"))
}

func TestManyDeploysAreDetachedFromAndAttachedToAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	names := []string{"deaf-a", "deaf-b"}
	for _, name := range names {
		w.define(name, w.startingWithin("60s", name, "v1", `env = { MODE = "deaf" }`))
	}
	ctx, interrupt := context.WithCancel(t.Context())
	left := make(chan reply, 1)
	go func() { left <- w.mcpUntil(ctx, "deploy", "--json", names[0], names[1]) }()
	c := w.temporal()
	runs := func(name string) bool {
		described, err := c.DescribeWorkflowExecution(t.Context(), workflows.DeployID(name), "")
		for _, pending := range described.GetPendingActivities() {
			if pending.GetActivityType().GetName() == "RunContainer" {
				return true
			}
		}
		require.NoError(t, err)
		return false
	}
	for _, name := range names {
		w.untilRunning(workflows.DeployID(name))
		require.Eventually(t, func() bool { return runs(name) }, time.Minute, 20*time.Millisecond)
	}
	interrupt()
	r := <-left
	require.Equal(t, 130, r.code, r)
	var list []workflows.Result
	r.decode(t, &list)
	for i, name := range names {
		require.Equal(t, workflows.Outcome("running"), list[i].Outcome)
		require.NotEmpty(t, list[i].RunID)
		require.Contains(t, r.stderr, name+" detached: the deploy of "+name+" goes on")
	}

	again := make(chan reply, 1)
	go func() { again <- w.mcp("deploy", names[0], names[1]) }()
	for _, name := range names {
		require.Zero(t, w.mcp("cancel", name).code)
	}
	r = <-again
	require.Equal(t, 1, r.code, r)
	for _, name := range names {
		require.Empty(t, w.containers(name))
	}
}
