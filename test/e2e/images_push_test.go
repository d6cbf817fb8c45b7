package e2e

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/workflows"
)

// payload is the size of a layer that no other image has, so that it has to be sent.
const payload = 1 << 20

// cut is where a connection is cut in the middle of a payload.
const cut = payload / 4

// ownSource writes a source whose image has a large layer and a small one
// that no other image has.
func (w *world) ownSource(version string) {
	w.t.Helper()
	for name, size := range map[string]int{"large": payload, "small": 1000} {
		content := make([]byte, size)
		_, _ = rand.Read(content) // it never fails
		require.NoError(w.t, os.WriteFile(filepath.Join(w.workspace, "src", name), content, 0o600))
	}
	w.source(version, "COPY large /large\nCOPY small /small")
}

// start runs a verb in the background.
func (w *world) start(args ...string) <-chan reply {
	ended := make(chan reply, 1)
	go func() { ended <- w.mcp(args...) }()
	return ended
}

func TestAPushThatIsCutGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.newFaultyRegistry(on("PATCH", "/blobs/", cutting(cut)))
	w.ownSource("v1")
	w.define("cut", w.service("cut", "v1", ""))
	deployed := w.start("deploy", "cut", "--json")
	w.awaitAttempt(workflows.DeployID("cut"), "Push", 2)
	there := f.those("PUT", "/blobs/")
	f.heal()

	r := <-deployed
	require.Zero(t, r.code, r)
	var result workflows.Result
	r.decode(t, &result)
	require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))
	require.NotEmpty(t, there, "some layers were there before the fault ended")
	for _, request := range there {
		_, digest, _ := strings.Cut(request, "digest=")
		require.Equal(t, 1, f.count("PUT", digest), "a layer that was there is not sent again")
	}
	summary := w.summary(result.WorkflowID)
	require.Equal(t, 1, summary.attempts["Build"], "the push is retried alone: %s", summary.failures["Build"])
	require.Greater(t, summary.attempts["Push"], 1)
}

func TestAnImageRegistryThatFailsForAWhileCostsOnlyTime(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]script{
		"busy":   on(uploads, "", answering(http.StatusTooManyRequests, "TOOMANYREQUESTS")),
		"broken": on(uploads, "", answering(http.StatusServiceUnavailable, "UNAVAILABLE")),
		"behind": on(uploads, "", answering(http.StatusBadGateway, "UNKNOWN")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.newFaultyRegistry(script)
			w.ownSource("v1")
			w.define(name, w.service(name, "v1", ""))
			deployed := w.start("deploy", name)
			require.Eventually(t, func() bool { return f.count("POST", "/blobs/uploads/") > 1 }, time.Minute, 50*time.Millisecond)
			f.heal()
			r := <-deployed
			require.Zero(t, r.code, r)
			require.Equal(t, 1, w.summary(workflows.DeployID(name)).attempts["Build"])
		})
	}
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		f := w.newFaultyRegistry(nil)
		w.ownSource("v1")
		w.define("away", w.service("away", "v1", ""))
		f.goAway()
		deployed := w.start("deploy", "away")
		w.awaitAttempt(workflows.DeployID("away"), "ImageExists", 3)
		f.comeBack()
		r := <-deployed
		require.Zero(t, r.code, r)
	})
}

func TestAPushThatIsRefusedIsNotRetried(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]script{
		"unknown":   on(uploads, "", answering(http.StatusUnauthorized, "UNAUTHORIZED")),
		"forbidden": on(uploads, "", answering(http.StatusForbidden, "DENIED")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.newFaultyRegistry(script)
			w.ownSource("v1")
			w.define(name, w.service(name, "v1", ""))
			result := w.failsToPush(name)
			require.Equal(t, fault.Unauthorized, result.Error.Kind)
			require.Contains(t, result.Error.Hint, "podman login "+w.registry)
			require.Equal(t, 1, w.summary(result.WorkflowID).attempts["Push"])
		})
	}
}

func TestAfterTheLastTryTheLocalTagIsGone(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]script{
		"refuses": on(uploads, "", answering(http.StatusServiceUnavailable, "UNAVAILABLE")),
		"hangs":   on(uploads, "", hanging),
		"cuts":    on("PATCH", "", cutting(cut)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.newFaultyRegistry(script)
			w.ownSource("v1")
			w.define(name, w.service(name, "v1", ""))
			result := w.failsToPush(name, "--deadline", "20s")
			require.Equal(t, fault.Unavailable, result.Error.Kind, result.Error.Message)
			require.Contains(t, result.Error.Message, "gave up after 20s: push "+w.image(name, "v1")+": ")
			require.Less(t, time.Duration(result.ElapsedMS)*time.Millisecond, time.Minute)
		})
	}
}

// failsToPush deploys a service whose image cannot be pushed: the deploy fails, the
// local tag is removed, and no node is touched.
func (w *world) failsToPush(name string, options ...string) workflows.Result {
	w.t.Helper()
	r := w.mcp(append([]string{"deploy", name, "--json"}, options...)...)
	require.Equal(w.t, 1, r.code, r)
	var result workflows.Result
	r.decode(w.t, &result)
	require.Equal(w.t, workflows.Failed, result.Outcome)
	require.False(w.t, result.Dirty)
	require.True(w.t, result.Components[0].Built, r)
	require.False(w.t, result.Components[0].Pushed, r)
	here, err := podman.New(shared.platform.Info().Podman).ImageExists(w.t.Context(), w.image(name, "v1"))
	require.NoError(w.t, err)
	require.False(w.t, here, "the local tag is gone: %s", r.stderr)
	require.False(w.t, w.summary(result.WorkflowID).touched(), "no node has been touched")
	require.NotContains(w.t, w.mcp("ps", "--node", w.node).stdout, name+"-app")
	require.Contains(w.t, w.mcp("history", name).stdout, result.Error.Message, "the registry has the cause")
	return result
}
