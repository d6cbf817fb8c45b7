package e2e

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/workflows"
)

func TestTheLifeOfAService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("life", w.service("life", "v1", ""))

	planned := w.mcp("plan", "life", "--detailed-exitcode")
	require.Equal(t, 2, planned.code)
	require.Contains(t, planned.stdout, "build and push")
	require.Contains(t, planned.stdout, "+ app")

	first := w.deploy("life")
	require.Equal(t, workflows.Succeeded, first.Outcome)
	require.Equal(t, 1, first.Deployment)
	require.True(t, first.Components[0].Built)
	require.True(t, first.Components[0].Pushed)
	require.Equal(t, "v1", w.fetch(first.Components[0].Ports["http"]))

	second := w.deploy("life")
	require.Equal(t, workflows.Unchanged, second.Outcome)
	require.Equal(t, first.Components[0].Ports, second.Components[0].Ports)
	require.Equal(t, 0, w.mcp("plan", "life", "--detailed-exitcode").code)

	status := w.status("life")
	require.Equal(t, 1, status.Release)
	require.Equal(t, "running", status.Components[0].ObservedState)
	require.Empty(t, status.Components[0].Drift)
	require.Equal(t, 443, status.Components[0].Routes[0].Port)

	listed := w.mcp("ps", "--node", "local")
	require.Contains(t, listed.stdout, "life-app")
	require.NotContains(t, listed.stdout, "life-app.prev")

	w.define("life", "active = false\n"+w.service("life", "v1", ""))
	require.Equal(t, workflows.Succeeded, w.deploy("life").Outcome)
	stopped := w.status("life")
	require.False(t, stopped.Active)
	require.Equal(t, "stopped", stopped.Components[0].DesiredState)
	require.Equal(t, "stopped", stopped.Components[0].ObservedState)

	w.define("life", w.service("life", "v1", ""))
	again := w.deploy("life")
	require.Equal(t, workflows.Succeeded, again.Outcome)
	require.Equal(t, "v1", w.fetch(again.Components[0].Ports["http"]))
}

func TestBuildMakesTheImageAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("alone", w.service("alone", "v1", ""))
	built := w.mcp("build", "alone/alone")
	require.Zero(t, built.code, built)
	require.Contains(t, built.stdout, "built and pushed")
	require.Contains(t, w.mcp("build", "alone").stdout, "exists")
	require.Equal(t, 2, w.mcp("build", "alone/other").code)
	require.False(t, w.deploy("alone").Components[0].Built)
}

func TestANewVersionFailsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("steady", w.service("steady", "v1", ""))
	w.deploy("steady")

	stop := w.asking("steady")
	w.source("v2", "")
	w.define("steady", w.service("steady", "v2", ""))
	require.Equal(t, workflows.Succeeded, w.deploy("steady").Outcome)
	stop("v1", "v2")
}

// asking sends requests to a service's only route until stop, which waits until each
// of the versions has answered. No request may fail.
func (w *world) asking(service string) (stop func(versions ...string)) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	asked := make(chan error, 1)
	var mu sync.Mutex
	answers := map[string]int{}
	have := func(versions ...string) bool {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(versions, func(v string) bool { return answers[v] == 0 })
	}
	go func() {
		for ctx.Err() == nil {
			began := time.Now()
			version, err := ask(w.routePort(service))
			if err != nil && time.Since(began) > time.Second {
				continue // an address may be used for no longer
			}
			if err != nil {
				asked <- fmt.Errorf("after %v answers: %w", answers, err)
				return
			}
			mu.Lock()
			answers[version]++
			mu.Unlock()
		}
		asked <- nil
	}()
	require.Eventually(w.t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(answers) > 0 || len(asked) > 0
	}, time.Minute, 10*time.Millisecond, "the service answers")
	return func(versions ...string) {
		w.t.Helper()
		time.Sleep(300 * time.Millisecond)
		for giveUp := time.Now().Add(20 * time.Second); !have(versions...) && len(asked) == 0 && time.Now().Before(giveUp); {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
		require.NoError(w.t, <-asked)
		require.True(w.t, have(versions...), "%v, of %v", answers, versions)
	}
}

func TestAContainerThatFailsLeavesTheOldOneRunning(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exit", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			name := "fails-" + mode
			w.source("v1", "")
			w.define(name, w.service(name, "v1", ""))
			port := w.deploy(name).Components[0].Ports["http"]

			w.define(name, w.service(name, "v1", `env = { MODE = "`+mode+`" }`))
			failed := w.mcp("deploy", name)
			require.Equal(t, 1, failed.code, failed)
			require.Contains(t, failed.stderr, "component app on node local")
			if mode == "exit" {
				require.Contains(t, failed.stderr, "exited with code 3")
				require.Contains(t, failed.stderr, "| line 3\n")
				require.Contains(t, failed.stderr, "| line 12\n")
				require.NotContains(t, failed.stderr, "| line 2\n", "the last ten lines")
			} else {
				require.Contains(t, failed.stderr, "not healthy after")
				require.Contains(t, failed.stderr, "| not listening")
			}
			require.Equal(t, "v1", w.fetch(port), "the old container runs on")
			status := w.status(name)
			require.Equal(t, 1, status.Release)
			require.False(t, status.Dirty)
			require.NotContains(t, w.mcp("ps", "--node", w.node).stdout, name+"-app.next")
		})
	}
}

func TestASecondDeployAttachesOrIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	slow := w.service("held", "v1", `env = { MODE = "deaf" }`)
	w.define("held", slow)
	first := make(chan reply, 1)
	go func() { first <- w.mcp("deploy", "held") }()
	w.untilRunning(workflows.DeployID("held"))

	second := make(chan reply, 1)
	go func() { second <- w.mcp("deploy", "held") }()

	other := newWorld(t)
	other.source("v1", "")
	other.define("held", other.service("held", "v1", ""))
	refused := other.mcp("deploy", "held")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.stderr, "held is being deployed with another definition, by ")
	require.Contains(t, refused.stderr, "hint:")

	r := <-first
	require.Equal(t, 1, r.code, r)
	attached := <-second
	require.Equal(t, 1, attached.code)
	require.Contains(t, attached.stderr, "attached to the deploy of held")
	require.Contains(t, attached.stderr, "not healthy after")
}

func TestAFollowedDeployShowsItsOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("ended", w.startingWithin("60s", "ended", "v1", `env = { MODE = "deaf" }`))
	first := make(chan reply, 1)
	go func() { first <- w.mcp("deploy", "ended", "--json") }()
	w.awaitAttempt(workflows.DeployID("ended"), "RunContainer", 1) // the registry has it

	t.Run("other options are refused", func(t *testing.T) {
		refused := w.mcp("deploy", "ended", "--force")
		require.Equal(t, 1, refused.code, refused)
		require.Contains(t, refused.stderr, "ended is being deployed with other options, by ")
	})
	t.Run("detaching says that it goes on", func(t *testing.T) {
		attached := w.mcpUntilSays("its own deadline of 30m0s holds, not 5m0s", "deploy", "ended", "--deadline", "5m", "--json")
		require.Equal(t, 130, attached.code, attached)
		require.Contains(t, attached.stderr, "this command was its builder")
		var said map[string]string
		attached.decode(t, &said)
		require.Equal(t, "running", said["outcome"])
		require.Equal(t, "ended", said["service"])
	})
	t.Run("a deploy that is terminated is dirty", func(t *testing.T) {
		require.NoError(t, w.temporal().TerminateWorkflow(t.Context(), workflows.DeployID("ended"), "", "a test"))
		terminated := <-first
		require.Equal(t, 3, terminated.code, terminated)
		var result workflows.Result
		terminated.decode(t, &result)
		require.Equal(t, workflows.Failed, result.Outcome)
		require.True(t, result.Dirty)
		require.Equal(t, "the deploy of ended was terminated in Temporal; nothing has been put back", result.Error.Message)
		require.Equal(t, "mcp deploy ended repairs it", result.Error.Hint)
	})
	t.Run("every verb reports at once that it is lost", func(t *testing.T) {
		listed := w.mcp("status", "ended", "--json")
		require.Zero(t, listed.code, listed)
		var status []struct{ Deploying, Lost int }
		listed.decode(t, &status)
		require.Equal(t, []int{0, 1}, []int{status[0].Deploying, status[0].Lost})
		require.Contains(t, w.mcp("status", "ended").stdout, "(1 was lost)")
		require.Contains(t, w.mcp("history", "ended").stdout, "lost")
		require.Contains(t, w.mcp("history", "ended", "1").stdout, "its workflow was ended in Temporal")
		require.Contains(t, w.mcp("cancel", "ended").stderr, "ended is not being deployed")
	})
	w.define("ended", w.service("ended", "v1", ""))
	require.Equal(t, workflows.Succeeded, w.deploy("ended").Outcome)
}

func TestEveryActivityRunsOnItsQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("queues", w.service("queues", "v1", ""))
	first := w.deploy("queues")
	require.NotContains(t, w.queues(first.WorkflowID, first.RunID), "Retire", "nothing makes way for a first deploy")
	w.source("v2", "")
	w.define("queues", w.service("queues", "v2", ""))
	result := w.deploy("queues")
	queues := w.queues(result.WorkflowID, result.RunID)
	for activity, queue := range map[string]string{
		"ImageExists": "control",
		"Build":       "build-" + w.builder, "Push": "build-" + w.builder,
		"Survey": "node-local", "RunContainer": "node-local", "CutOver": "node-local", "Retire": "node-local",
	} {
		require.Equal(t, queue, queues[activity], activity)
		delete(queues, activity)
	}
	for activity, queue := range queues { // the registry's, where a local activity took too long
		require.Equal(t, "control", queue, activity)
	}
}

// mostEvents bounds the history of an update of one component, with nothing to build
// and no retry: Temporal stores each event, and sends it to each client that follows
// the deploy. The number depends on which of the first answers come together. Two of them
// add the deploy to the audit.
const mostEvents = 48

func TestTheHistoryOfAnUpdateIsShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("brief", w.service("brief", "v1", ""))
	w.deploy("brief")
	shortest := math.MaxInt
	for try := 0; shortest > mostEvents && try < 5; try++ { // a busy machine makes an activity of a local one
		w.define("brief", w.service("brief", "v1", fmt.Sprintf(`env = { CHANGED = "%d" }`, try)))
		result, events := w.deploy("brief"), 0
		history := w.temporal().GetWorkflowHistory(t.Context(), result.WorkflowID, result.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for ; history.HasNext(); events++ {
			_, err := history.Next()
			require.NoError(t, err)
		}
		t.Logf("%d events", events)
		shortest = min(shortest, events)
	}
	require.LessOrEqual(t, shortest, mostEvents)
}

// ask sends one request to a port.
func ask(port int) (string, error) { return askFor(port, "") }

// askFor is ask, with a query.
func askFor(port int, query string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/?%s", port, query))
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("port %d answers %s: %s", port, response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}
