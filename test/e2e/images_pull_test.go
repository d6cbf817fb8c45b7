package e2e

import (
	"encoding/base64"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/workflows"
)

func TestALookUpThatGetsNoAnswer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script  script
		kind    fault.Kind
		message string // after the image
		hint    string
	}{
		"lookrefused": {answering(http.StatusUnauthorized, "UNAUTHORIZED"), fault.Unauthorized, "", "podman login "},
		"lookdenied":  {on("HEAD", "/manifests/", answering(http.StatusForbidden, "DENIED")), fault.Unauthorized, "", "podman login "},
		"looksilent":  {hanging, fault.Unavailable, "no answer in time", ""},
		"lookbroken":  {answering(http.StatusInternalServerError, "UNKNOWN"), fault.Unavailable, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.newFaultyRegistry(test.script)
			w.define(name, w.service(name, "v1", ""))
			result := w.fails(name, "--deadline", "5s")
			require.Equal(t, test.kind, result.Error.Kind)
			require.Contains(t, result.Error.Message, "look up image "+w.image(name, "v1"))
			require.Contains(t, result.Error.Message, test.message)
			require.Contains(t, result.Error.Hint, test.hint)
			summary := w.summary(result.WorkflowID)
			require.False(t, summary.touched(), "no node has been touched")
			require.Zero(t, summary.scheduled["Build"])
			if test.kind == fault.Unauthorized {
				require.Zero(t, summary.scheduled["ImageExists"], "a local activity that was refused is not repeated")
			}
		})
	}
}

func TestAPullThatFails(t *testing.T) {
	t.Parallel()
	t.Run("cut half-way is tried again", func(t *testing.T) {
		t.Parallel()
		w, f := newPulled(t, "pullcut")
		f.fail(on("GET", "/blobs/", cutting(cut)))
		deployed := w.start("deploy", "pullcut", "--json")
		w.awaitAttempt(workflows.DeployID("pullcut"), "RunContainer", 2)
		f.heal()
		r := <-deployed
		require.Zero(t, r.code, r)
		var result workflows.Result
		r.decode(t, &result)
		require.False(t, result.Components[0].Built)
		require.Equal(t, "v1", w.fetch(result.Components[0].Ports["http"]))
	})
	for name, test := range map[string]struct {
		script   script
		kind     fault.Kind
		message  string
		hint     string
		attempts int
	}{
		"pullrefused": {answering(http.StatusUnauthorized, "UNAUTHORIZED"), fault.Unauthorized, "pull ", "on node local", 1},
		"pullsilent":  {hanging, fault.Unavailable, "gave up after 5s: run pullsilent-app: no answer in time; the last progress: pull, ", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := newPulled(t, name)
			f.fail(on("GET", "/blobs/", test.script))
			result := w.fails(name, "--deadline", "5s")
			require.Equal(t, test.kind, result.Error.Kind)
			require.Equal(t, "local", result.Error.Node)
			require.Contains(t, result.Error.Message, test.message)
			require.Contains(t, result.Error.Hint, test.hint)
			if test.attempts > 0 {
				require.Equal(t, test.attempts, w.summary(result.WorkflowID).attempts["RunContainer"])
			}
			require.Eventually(t, func() bool { return f.unanswered() == 0 }, time.Minute, 50*time.Millisecond, "the pull has ended")
			f.heal()
			require.Equal(t, workflows.Succeeded, w.deploy(name).Outcome)
		})
	}
}

// newPulled makes a world with a service's image in its faulty image registry, and not
// in its podman.
func newPulled(t *testing.T, name string) (*world, *faultyRegistry) {
	t.Helper()
	w := newWorld(t)
	f := w.newFaultyRegistry(nil)
	w.ownSource("v1")
	w.define(name, w.service(name, "v1", ""))
	w.buildElsewhere(name, "v1")
	return w, f
}

// buildElsewhere builds and pushes a service's image, and removes it from
// podman, as if another host had built it.
func (w *world) buildElsewhere(name, version string) {
	w.t.Helper()
	built := w.mcp("build", name)
	require.Zero(w.t, built.code, built)
	engine := podman.New(shared.platform.Info().Podman)
	require.NoError(w.t, engine.RemoveImage(w.t.Context(), w.image(name, version)))
}

// fails deploys a service, which fails and leaves nothing of it on the node.
func (w *world) fails(name string, options ...string) workflows.Result {
	w.t.Helper()
	r := w.mcp(append([]string{"deploy", name, "--json"}, options...)...)
	require.Equal(w.t, 1, r.code, r)
	var result workflows.Result
	r.decode(w.t, &result)
	require.Equal(w.t, workflows.Failed, result.Outcome)
	require.False(w.t, result.Dirty)
	require.NotContains(w.t, w.mcp("ps", "--node", w.node).stdout, name+"-app")
	require.Contains(w.t, w.mcp("history", name).stdout, result.Error.Message, "the registry has the cause")
	return result
}

func TestALoginMayPushAndPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("shop:secret"))
	f := w.newFaultyRegistry(func(_ *faultyRegistry, rw http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == login {
			return false
		}
		rw.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	w.ownSource("v1")
	w.define("login", w.service("login", "v1", ""))
	require.Equal(t, fault.Unauthorized, w.fails("login").Error.Kind)
	out, err := exec.Command("podman", "login", "--tls-verify=false", "--username", "shop", "--password", "secret", f.address).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "v1", w.fetch(w.deploy("login").Components[0].Ports["http"]))
}
