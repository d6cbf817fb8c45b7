package cli_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows"
)

const shopImage = "127.0.0.1:1/api:v1" // no server answers there

// serve is the worker of a node whose engine is in memory.
func (p controlPlane) serve(t *testing.T, name string, engine *runtime.Fake) {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: p.temporal.Address()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	w := worker.New(c, activities.QueueNode(name), worker.Options{DisableWorkflowWorker: true})
	w.RegisterActivity(&onnode.Node{Name: name, Runtime: engine, Fence: onnode.NewFence()})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

// releaseShop makes a service that runs as release 1, on node rift.
func (p controlPlane) releaseShop(t *testing.T, engine *runtime.Fake) {
	t.Helper()
	store, err := registry.Open(t.Context(), p.postgres.URL())
	require.NoError(t, err)
	defer store.Close()
	_, err = store.BeginDeployment(t.Context(), fleet.BeginRequest{
		Definition: servicedef.Service{Name: "shop", Node: "rift", Active: true, Components: []servicedef.Component{
			{Name: "api", Node: "rift", Image: shopImage},
		}},
		Verb: "deploy", WorkflowID: workflows.DeployID("shop"), RunID: "first", Who: "operator", From: "somewhere",
	})
	require.NoError(t, err)
	_, err = store.CommitRelease(t.Context(), fleet.CommitRequest{Service: "shop", Deployment: 1, Active: true, Members: []fleet.Member{
		{Component: "api", Container: "shop-api", Node: "rift", Deployment: 1, Image: shopImage, Active: true},
	}}, publication.Routes)
	require.NoError(t, err)
	require.NoError(t, store.FinishDeployment(t.Context(), fleet.FinishRequest{Service: "shop", Deployment: 1, Outcome: "succeeded"}))
	engine.AddImages(shopImage)
	_, err = engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: shopImage, Labels: map[string]string{
		runtime.LabelService: "shop", runtime.LabelComponent: "api", runtime.LabelDeployment: "1", runtime.LabelRun: "first",
	}})
	require.NoError(t, err)
}

// asked runs a command on a terminal; said gets its output.
func (p controlPlane) asked(ctx context.Context, said *printed.Text, answers io.Reader, args ...string) int {
	app := &cli.App{
		Stdout: &printed.Text{}, Stderr: said, Stdin: answers, Interactive: func() bool { return true },
		Getenv: func(name string) string { return p.env[name] },
	}
	return app.Run(ctx, args)
}

func TestUndeployAsksFirst(t *testing.T) {
	plane, engine := newControlPlane(t), runtime.NewFake()
	plane.serve(t, "rift", engine)

	t.Run("but not about an unknown service", func(t *testing.T) {
		got := mcp(t.Context(), t, plane.env, "undeploy", "shop", "-y")
		require.Equal(t, 2, got.code, got)
		require.Contains(t, got.stderr, "service shop has never been deployed")
		require.JSONEq(t, `[]`, mcp(t.Context(), t, plane.env, "status", "--json").stdout, "nor does it make one")
	})
	plane.releaseShop(t, engine)

	t.Run("and does nothing without a terminal", func(t *testing.T) {
		got := mcp(t.Context(), t, plane.env, "undeploy", "shop")
		require.Equal(t, 2, got.code, got)
		require.Contains(t, got.stderr, "shop-api on rift")
		require.Contains(t, got.stderr, "mcp undeploy shop -y")
		var said struct {
			Error struct{ Kind, Hint string }
		}
		decode(t, mcp(t.Context(), t, plane.env, "undeploy", "shop", "--json").stdout, &said)
		require.Equal(t, "Invalid", said.Error.Kind)
	})
	for name, answer := range map[string]string{"no": "n\n", "a line": "\n", "another word": "yeah\n", "the end of the input": ""} {
		t.Run("and takes "+name+" for no", func(t *testing.T) {
			var said printed.Text
			require.Equal(t, 1, plane.asked(t.Context(), &said, strings.NewReader(answer), "undeploy", "shop"))
			require.Contains(t, said.String(), "undeploy shop removes\n  shop-api on rift\nGo on? [y/N] ")
			require.Contains(t, said.String(), "nothing has been done")
		})
	}
	t.Run("and an interrupt for the end", func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		unanswered, silence := io.Pipe()
		defer silence.Close()
		var said printed.Text
		code := make(chan int, 1)
		go func() { code <- plane.asked(ctx, &said, unanswered, "undeploy", "shop") }()
		require.Eventually(t, func() bool { return strings.Contains(said.String(), "Go on?") }, time.Minute, 10*time.Millisecond)
		interrupt()
		require.Equal(t, 130, <-code)
	})
	list, err := engine.List(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list, 1, "it still runs")
	require.Contains(t, mcp(t.Context(), t, plane.env, "status").stdout, "running")

	t.Run("and goes on with yes", func(t *testing.T) {
		var said printed.Text
		require.Zero(t, plane.asked(t.Context(), &said, strings.NewReader("y\n"), "undeploy", "shop"), said.String())
		list, err := engine.List(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, list)
		require.Regexp(t, `shop +2 +- +rift +undeployed`, mcp(t.Context(), t, plane.env, "status").stdout)
	})
	t.Run("and not where there is nothing to lose", func(t *testing.T) {
		again := mcp(t.Context(), t, plane.env, "undeploy", "shop")
		require.Zero(t, again.code, again)
		require.Contains(t, again.stdout, "shop: unchanged, deployment 3")
	})
	t.Run("and leaves no release to go back to", func(t *testing.T) {
		back := mcp(t.Context(), t, plane.env, "rollback", "shop", "--to", "2")
		require.Equal(t, 1, back.code, back)
		require.Contains(t, back.stderr, "deployment 2 undeployed shop")
		require.Contains(t, back.stderr, "mcp history shop")
	})
}

func TestUndeploySharesTheLock(t *testing.T) {
	plane, engine := newControlPlane(t), runtime.NewFake()
	stopping, goOn := make(chan struct{}, 1), make(chan struct{})
	engine.Before = func(method, _ string) error {
		if method == "Stop" {
			stopping <- struct{}{}
			<-goOn
		}
		return nil
	}
	plane.releaseShop(t, engine)
	plane.serve(t, "rift", engine)
	run := func(ctx context.Context, said *printed.Text, args ...string) <-chan int {
		ended := make(chan int, 1)
		go func() { ended <- plane.asked(ctx, said, strings.NewReader(""), args...) }()
		return ended
	}
	says := func(said *printed.Text, text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(said.String(), text) }, time.Minute, 10*time.Millisecond, text)
	}

	var deploying printed.Text
	deploy := run(t.Context(), &deploying, "rollback", "shop", "--to", "1")
	says(&deploying, "look for") // its image registry is away
	refused := mcp(t.Context(), t, plane.env, "undeploy", "shop", "-y")
	require.Equal(t, 1, refused.code, refused)
	require.Contains(t, refused.stderr, "shop is being deployed, by ")
	require.Contains(t, refused.stderr, "mcp cancel shop")
	require.Zero(t, mcp(t.Context(), t, plane.env, "cancel", "shop").code)
	require.Equal(t, 1, <-deploy)

	var first, second, other printed.Text
	undeploy := run(t.Context(), &first, "undeploy", "shop", "-y")
	<-stopping
	again := run(t.Context(), &second, "undeploy", "shop", "-y")
	says(&second, "attached to the undeploy of shop that ")
	ctx, interrupt := context.WithCancel(t.Context())
	back := run(ctx, &other, "rollback", "shop", "--to", "1")
	says(&other, "shop was undeployed a moment ago; waiting")
	interrupt()
	require.Equal(t, 130, <-back)
	close(goOn)
	require.Zero(t, <-undeploy, first.String())
	require.Zero(t, <-again, second.String())
}

func TestWhatIsOnANodeThatIsAwayGoesWhenItIsBack(t *testing.T) {
	plane, engine := newControlPlane(t), runtime.NewFake()
	plane.releaseShop(t, engine) // no worker serves its node
	refused := mcp(t.Context(), t, plane.env, "undeploy", "shop")
	require.Equal(t, 2, refused.code, refused)
	require.Contains(t, refused.stderr, "shop-api (when the node is back) on rift")
	left := mcp(t.Context(), t, plane.env, "undeploy", "shop", "-y")
	require.Zero(t, left.code, left)
	require.Contains(t, left.stderr, "dirty: not done: retire on rift: the node does not answer")
	require.Regexp(t, `shop \(dirty\) +2 +- +rift +undeployed`, mcp(t.Context(), t, plane.env, "status").stdout)

	plane.serve(t, "rift", engine)
	require.Eventually(t, func() bool {
		return !strings.Contains(mcp(t.Context(), t, plane.env, "status").stdout, "dirty")
	}, time.Minute, 200*time.Millisecond)
	list, err := engine.List(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, list)
	stopped := slices.ContainsFunc(engine.Calls(), func(c runtime.FakeCall) bool { return c.Method == "Stop" })
	require.True(t, stopped, "it has served until now")
}
