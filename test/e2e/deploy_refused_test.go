package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

func TestAnUnknownServiceIsRefusedWithTheNearestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("guestbook", w.service("guestbook", "v1", ""))
	unknown := w.mcp("deploy", "guestbok")
	require.Equal(t, 2, unknown.code)
	require.Contains(t, unknown.stderr, "guestbook")
	require.Contains(t, unknown.stderr, w.services, "it names the directory")

	w.configure("services = " + fmt.Sprintf("%q", filepath.Join(w.dir, "none")))
	missing := w.mcp("deploy", "guestbook")
	require.Equal(t, 2, missing.code)
	require.Contains(t, missing.stderr, filepath.Join(w.dir, "none"))
}

const tenMistakes = `name = "Bad_Name"
node = "local"
path = "../outside"
colour = "red"

[[components]]
name = "app"
image = "UPPER/case::x"
restart = "sometimes"
memory = "lots"
ports = ["99999:80"]
depends_on = ["ghost"]

[components.health]
http = "no-slash"

[[components.routes]]
name = "http"
port = 70000
mode = "l5"
`

func TestTenMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("bad", tenMistakes)
	refused := w.mcp("deploy", "bad")
	require.Equal(t, 2, refused.code)
	found := map[string]bool{}
	for _, line := range strings.Split(refused.stderr, "\n") {
		if strings.Contains(line, "bad.toml:") {
			found[line] = true
		}
	}
	require.GreaterOrEqual(t, len(found), 10, refused.stderr)
	require.Equal(t, 2, w.mcp("service", "check", filepath.Join(w.services, "bad.toml")).code)
}

func TestAnInvalidDefinitionIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ change, want string }{
		"a route's variable set by hand": {`env = { PORT_HTTP = "1" }`, "PORT_HTTP"},
		"two routes of one name":         {"\n[[components.routes]]\nname = \"http\"\nport = 444\n", "http"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.define("refused", w.service("refused", "v1", test.change))
			refused := w.mcp("deploy", "refused")
			require.Equal(t, 2, refused.code, refused)
			require.Contains(t, refused.stderr, test.want)
		})
	}
	t.Run("colliding container names", func(t *testing.T) {
		w := newWorld(t)
		w.source("v1", "")
		w.define("a", strings.ReplaceAll(w.service("a", "v1", ""), `name = "app"`, `name = "b-c"`))
		w.define("a-b", strings.ReplaceAll(w.service("a-b", "v1", ""), `name = "app"`, `name = "c"`))
		refused := w.mcp("deploy", "a", "a-b")
		require.Equal(t, 2, refused.code, refused)
		require.Contains(t, refused.stderr, "a-b-c")
		deployed := w.mcp("deploy", "a")
		require.Zero(t, deployed.code, deployed, "a draft does not collide")

		refused = w.mcp("deploy", "a-b")
		require.Equal(t, 1, refused.code, refused)
		require.Contains(t, refused.stderr, "container a-b-c exists on node local and belongs to service a")
		require.NotContains(t, refused.stderr, "remove")
		require.NotContains(t, refused.stderr, "rename")
		require.Equal(t, "running", w.status("a").Components[0].ObservedState)
	})
}

func TestAMissingImageEndsTheDeployAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("noimage", strings.Replace(w.service("noimage", "v1", ""), "[build.images]\nnoimage = \"Containerfile\"\n", "", 1))
	missing := w.mcp("deploy", "noimage")
	require.Equal(t, 1, missing.code, missing)
	require.Contains(t, missing.stderr, w.image("noimage", "v1"))
	require.Contains(t, missing.stderr, "noimage.toml")
	require.Contains(t, missing.stderr, "[build.images]")
	require.NotContains(t, missing.stderr, "run on local")
}

func TestASourceThatCannotBeBuiltTouchesNoNode(t *testing.T) {
	t.Parallel()
	t.Run("no Containerfile", func(t *testing.T) {
		w := newWorld(t)
		w.define("nofile", w.service("nofile", "v1", ""))
		failed := w.mcp("deploy", "nofile")
		require.Equal(t, 1, failed.code, failed)
		require.Contains(t, failed.stderr, "Containerfile")
		require.NotContains(t, failed.stderr, "run on local")
	})
	t.Run("a step that fails", func(t *testing.T) {
		w := newWorld(t)
		w.source("v1", "COPY nothing-there /x")
		w.define("nobuild", w.service("nobuild", "v1", ""))
		started := time.Now()
		failed := w.mcp("deploy", "nobuild")
		require.Equal(t, 1, failed.code, failed)
		require.Contains(t, failed.stderr, "STEP")
		require.Contains(t, failed.stderr, "nothing-there")
		require.Contains(t, failed.stderr, "read the whole log: ")
		require.NotContains(t, failed.stderr, "run on local")
		require.Less(t, time.Since(started), time.Minute, "it is not retried")
	})
}

func TestANodeWithoutAWorkerIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("lost", strings.ReplaceAll(w.service("lost", "v1", ""), `node = "local"`, `node = "rift"`))
	failed := w.mcp("deploy", "lost")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "node rift: no worker polls node-rift")
	require.Contains(t, failed.stderr, "mcp worker --node rift")
}

func TestAStaticPortThatIsTakenLeavesTheOldContainerRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("bound", w.service("bound", "v1", ""))
	port := w.deploy("bound").Components[0].Ports["http"]

	holder, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = holder.Close() })
	number := holder.Addr().(*net.TCPAddr).Port
	w.define("bound", w.service("bound", "v1", fmt.Sprintf("ports = [\"127.0.0.1:%d:80\"]", number)))
	failed := w.mcp("deploy", "bound")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, fmt.Sprint(number))
	require.Contains(t, failed.stderr, "node local")
	require.Equal(t, "v1", w.fetchAgain(port), "the old container runs again")
}

func TestTemporalThatIsAwayIsExitFour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("unreached", w.service("unreached", "v1", ""))
	w.configure("services = "+fmt.Sprintf("%q", w.services), "[temporal]", `address = "127.0.0.1:1"`)
	started := time.Now()
	for _, verb := range [][]string{{"deploy", "unreached"}, {"status"}, {"plan", "unreached"}} {
		failed := w.mcp(verb...)
		require.Equal(t, 4, failed.code, failed)
		require.Contains(t, failed.stderr, "127.0.0.1:1")
	}
	require.Less(t, time.Since(started), time.Minute)
}

func TestJSONIsTheOnlyThingOnStdout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("notbuilt", strings.Replace(w.service("notbuilt", "v1", ""), "[build.images]\nnotbuilt = \"Containerfile\"\n", "", 1))
	failed := w.mcp("deploy", "notbuilt", "--json")
	require.Equal(t, 1, failed.code)
	var result workflows.Result
	failed.decode(t, &result)
	require.Equal(t, workflows.Failed, result.Outcome)
	require.Equal(t, "NotFound", string(result.Error.Kind))
	require.NotEmpty(t, result.Error.Hint)

	var usage struct {
		Error struct{ Kind, Message string }
	}
	wrong := w.mcp("deploy", "nothing", "--json")
	require.Equal(t, 2, wrong.code)
	wrong.decode(t, &usage)
	require.NotEmpty(t, usage.Error.Message)
}
