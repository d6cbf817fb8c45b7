package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// byHand starts a container of a built image without mcp. It listens on the port that
// it publishes.
func (w *world) byHand(container, image string, port int, more ...string) {
	w.t.Helper()
	auth := filepath.Join(w.dir, "auth.json")
	require.NoError(w.t, os.WriteFile(auth, []byte("{}"), 0o600))
	run := []string{
		"run", "--detach", "--authfile", auth, "--tls-verify=false", "--name", container, "--env", fmt.Sprintf("PORT=%d", port),
		"--publish", fmt.Sprintf("127.0.0.1:%[1]d:%[1]d", port), "--restart", "unless-stopped",
	}
	w.podman(append(append(run, more...), image)...)
	w.t.Cleanup(func() {
		w.podman("rm", "--force", "--ignore", "--time", "0", container, container+".prev", container+".next")
	})
}

// freePort is an unused port that no service holds: a stopped container holds its
// ports, and does not listen.
func (w *world) freePort() int {
	w.t.Helper()
	for {
		port := unusedPort()
		if w.sql(fmt.Sprintf("select service from component_routes where host_port = %d", port)) == "" {
			return port
		}
	}
}

// identity is the part of a container that an adopt must not change.
func (w *world) identity(container string) string {
	return w.podman("inspect", container, "--format", "{{.ID}} {{.Name}} {{.State.StartedAt}} {{.State.Pid}}")
}

// pushed builds and pushes a version of a service's image, and returns its
// reference by digest.
func (w *world) pushed(name, version string) string {
	w.t.Helper()
	w.source(version, "")
	r := w.mcp("build", name, "--json")
	require.Zero(w.t, r.code, r)
	var built workflows.BuildResult
	r.decode(w.t, &built)
	return servicedef.ByDigest(w.image(name, version), built.Images[0].Digest)
}

// listed is the part of an entry of mcp ps --json that these tests read.
type listed struct {
	Container, Service, State string
	Managed, Orphan           bool
	UptimeSeconds             int64 `json:"uptime_seconds"`
}

// listed is the entry of a container in mcp ps.
func (w *world) listed(container string) listed {
	w.t.Helper()
	r := w.mcp("ps", "--node", w.node, "--json")
	require.Zero(w.t, r.code, r)
	var list []listed
	r.decode(w.t, &list)
	i := slices.IndexFunc(list, func(l listed) bool { return l.Container == container })
	require.GreaterOrEqual(w.t, i, 0, r)
	return list[i]
}

// standing is the ownership of a container in mcp ps, the same in both of its forms.
func (w *world) standing(container string) watch.Standing {
	w.t.Helper()
	l, standing := w.listed(container), watch.Unmanaged
	switch {
	case l.Managed:
		standing = watch.Managed
	case l.Orphan:
		standing = watch.Orphan
	}
	require.Regexp(w.t, container+` +`+string(standing), w.mcp("ps", "--node", w.node).stdout)
	return standing
}

func TestEveryContainerIsListedWithItsOwnerAndUptime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("whose", w.service("whose", "v1", ""))
	image := w.pushed("whose", "v1")
	require.Equal(t, workflows.Succeeded, w.deploy("whose").Outcome)
	t.Cleanup(func() { w.mcp("undeploy", "whose", "-y") })
	require.Equal(t, watch.Managed, w.standing("whose-app"))
	w.byHand("whose-mine", image, w.freePort())
	require.Equal(t, watch.Unmanaged, w.standing("whose-mine"))
	w.byHand("whose-left", image, w.freePort(), "--label", "mcp.service=whose", "--label", "mcp.component=app", "--label", "mcp.deployment=1")
	require.Equal(t, watch.Orphan, w.standing("whose-left"))
	require.Equal(t, "whose", w.listed("whose-left").Service)

	require.Eventually(t, func() bool { return w.listed("whose-app").UptimeSeconds > 0 }, time.Minute, 100*time.Millisecond)
	require.Positive(t, w.status("whose").Components[0].UptimeSeconds)
	require.Regexp(t, `whose-app +managed +whose +running +\d+s`, w.mcp("ps", "--node", w.node).stdout)
	require.Regexp(t, `app +local +running +\d+s`, w.mcp("status", "whose").stdout)
	w.podman("stop", "--time", "0", "whose-app", "whose-left")
	require.Zero(t, w.listed("whose-app").UptimeSeconds)
	require.Zero(t, w.status("whose").Components[0].UptimeSeconds)
	require.Regexp(t, `app +local +stopped +http`, w.mcp("status", "whose").stdout)
	require.Equal(t, watch.Orphan, w.standing("whose-left"))
	require.Equal(t, workflows.Succeeded, w.deploy("whose").Outcome)
	require.NotContains(t, w.mcp("ps", "--node", w.node).stdout, "whose-left", "a deploy removes orphans")
	require.Equal(t, watch.Unmanaged, w.standing("whose-mine"))
}

// adopt adopts a service, which must succeed or change nothing.
func (w *world) adopt(service string) workflows.Result {
	w.t.Helper()
	r := w.mcp("adopt", service, "--json")
	require.Zero(w.t, r.code, r)
	var result workflows.Result
	r.decode(w.t, &result)
	return result
}

func TestAContainerThatRunsIsAdoptedAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("taken", w.service("taken", "v1", ""))
	image := w.pushed("taken", "v1")
	port := w.freePort()

	nothing := w.mcp("adopt", "taken")
	require.Equal(t, 1, nothing.code, nothing)
	require.Contains(t, nothing.stderr, "none is called taken-app on local")

	w.byHand("taken-app", image, port)
	before := w.identity("taken-app")
	refused := w.mcp("deploy", "taken")
	require.Equal(t, 1, refused.code, refused)
	require.Contains(t, refused.stderr, "taken-app exists on node local and was not started by mcp")

	require.Equal(t, watch.Unmanaged, w.standing("taken-app"))

	dry := w.mcp("adopt", "taken", "--dry-run")
	require.Zero(t, dry.code, dry)
	require.Contains(t, dry.stdout, "would be adopted unchanged")
	require.Equal(t, 0, w.status("taken").Release)

	adopted := w.mcp("adopt", "taken")
	require.Zero(t, adopted.code, adopted)
	require.Contains(t, adopted.stdout, fmt.Sprintf("adopted unchanged  http:%d", port))
	require.Contains(t, adopted.stdout, "taken: no change")
	require.Equal(t, before, w.identity("taken-app"))

	status := w.status("taken")
	require.NotZero(t, status.Release)
	require.True(t, status.Active)
	require.Equal(t, "running", status.Components[0].ObservedState)
	require.Empty(t, status.Components[0].Drift)
	require.Equal(t, port, status.Components[0].Routes[0].HostPort)
	require.Equal(t, "http", w.portsHeld("taken"))
	require.Equal(t, watch.Managed, w.standing("taken-app"))
	require.Contains(t, w.mcp("history", "taken").stdout, "adopt   succeeded")

	again := w.adopt("taken")
	require.Equal(t, workflows.Unchanged, again.Outcome)
	require.Equal(t, plan.Keep, again.Components[0].Action)
	require.Equal(t, workflows.Unchanged, w.deploy("taken").Outcome)
	require.Equal(t, before, w.identity("taken-app"))

	t.Run("another container takes its name", func(t *testing.T) {
		w.podman("rename", "taken-app", "taken-mine")
		other := w.freePort()
		w.byHand("taken-app", image, other)
		refused := w.mcp("deploy", "taken", "--force")
		require.Equal(t, 1, refused.code, refused)
		require.Contains(t, refused.stderr, "taken-app exists on node local and was not started by mcp")
		require.Equal(t, []string{"renamed"}, w.status("taken").Components[0].Drift)
		w.podman("rm", "--force", "--time", "0", "taken-app")
		require.Equal(t, []string{"renamed"}, w.status("taken").Components[0].Drift)
		w.podman("rename", "taken-mine", "taken-app")
		require.Empty(t, w.status("taken").Components[0].Drift)
	})

	t.Run("it is stopped where the service is", func(t *testing.T) {
		w.define("taken", "active = false\n"+w.service("taken", "v1", ""))
		require.Equal(t, plan.Stop, w.deploy("taken").Components[0].Action)
		require.Equal(t, "stopped", w.status("taken").Components[0].ObservedState)
		require.Empty(t, w.status("taken").Components[0].Drift)
		require.Equal(t, strings.Fields(before)[0], strings.Fields(w.identity("taken-app"))[0])
	})

	t.Run("it is undeployed", func(t *testing.T) {
		gone := w.mcp("undeploy", "taken")
		require.Contains(t, gone.stderr, "taken-app on local", gone)
		gone = w.mcp("undeploy", "taken", "-y")
		require.Zero(t, gone.code, gone)
		require.Empty(t, w.podman("ps", "--all", "--quiet", "--filter", "name=taken-"))
		require.Empty(t, w.portsHeld("taken"))
	})
}

func TestAnAdoptedContainerIsReplacedAndNoRequestFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("heir", w.service("heir", "v1", ""))
	old := w.freePort()
	w.byHand("heir-app", w.pushed("heir", "v1"), old)
	require.Equal(t, workflows.Succeeded, w.adopt("heir").Outcome)

	stop := w.asking("heir")
	w.source("v2", "")
	w.define("heir", w.service("heir", "v2", ""))
	result := w.deploy("heir")
	require.Equal(t, plan.Replace, result.Components[0].Action)
	require.Equal(t, "image", result.Components[0].Changes[0].Field)
	require.Equal(t, "v2", w.fetch(result.Components[0].Ports["http"]))
	stop("v1", "v2")
	require.Equal(t, "heir-app", w.podman("ps", "--all", "--format", "{{.Names}}", "--filter", "name=heir-"))
	require.Equal(t, "http", w.portsHeld("heir"))
	require.Equal(t, workflows.Unchanged, w.deploy("heir").Outcome)

	back := w.mcp("rollback", "heir", "--wait", "--json")
	require.Zero(t, back.code, back)
	var result2 workflows.Result
	back.decode(t, &result2)
	require.Equal(t, "v1", w.fetch(result2.Components[0].Ports["http"]), "a rollback restores what was adopted")
}

func TestAnAdoptedContainerIsPutBack(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"start-first", "stop-first"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			name := "back-" + order
			w.define(name, w.service(name, "v1", ""))
			port := w.freePort()
			w.byHand(name+"-app", w.pushed(name, "v1"), port)
			require.Equal(t, workflows.Succeeded, w.adopt(name).Outcome)
			id := strings.Fields(w.identity(name + "-app"))[0]

			w.define(name, w.service(name, "v1", fmt.Sprintf("order = %q\nenv = { MODE = \"exit\" }", order)))
			failed := w.mcp("deploy", name)
			require.Equal(t, 1, failed.code, failed)
			require.Equal(t, id, strings.Fields(w.identity(name + "-app"))[0])
			require.Eventually(t, func() bool { answer, err := ask(port); return err == nil && answer == "v1" }, time.Minute, 50*time.Millisecond)
			status := w.status(name)
			require.Equal(t, 1, status.Release)
			require.False(t, status.Dirty)
			require.Empty(t, status.Components[0].Drift)
		})
	}
}

func TestWhatIsNotAsDefinedIsAdoptedAsItIsAndPlanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := w.service("other", "v2", "") + fmt.Sprintf("\n[[components]]\nname = \"extra\"\nimage = %q\n", w.image("other", "v2"))
	w.define("other", w.service("other", "v1", ""))
	old := w.pushed("other", "v1")
	w.define("other", text)
	w.pushed("other", "v2")
	port, spare := w.freePort(), w.freePort()
	w.byHand("other-app", old, port, "--publish", fmt.Sprintf("127.0.0.1:%d:9000", spare))
	w.byHand("other-strange", old, w.freePort())

	adopted := w.mcp("adopt", "other")
	require.Zero(t, adopted.code, adopted)
	require.Contains(t, adopted.stdout, "left alone: container other-strange on local: the definition has no component strange")
	require.Contains(t, adopted.stdout, "~ app")
	require.Contains(t, adopted.stdout, "image: "+old+" → "+w.image("other", "v2"))
	require.Contains(t, adopted.stdout, fmt.Sprintf("ports: [127.0.0.1:%d:9000] → []", spare))
	require.Contains(t, adopted.stdout, "+ extra")
	require.Equal(t, "\nhttp", "\n"+w.portsHeld("other"), "and one without a route")

	require.Equal(t, workflows.Succeeded, w.deploy("other").Outcome)
	require.Equal(t, "v2", w.fetch(w.routePort("other")))
	require.Contains(t, w.podman("ps", "--format", "{{.Names}}", "--filter", "name=other-"), "other-strange")

	w.podman("stop", "--time", "0", "other-strange")
	w.define("other", strings.Replace(text, `"extra"`, `"strange"`, 1))
	stopped := w.mcp("adopt", "other")
	require.Equal(t, 1, stopped.code, stopped)
	require.Contains(t, stopped.stderr, "container other-strange on local does not run: start it, or remove it")
}
