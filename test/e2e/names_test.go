package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// named is a service whose component web asks api by its name. Api has a version, and
// more lines.
func (w *world) named(name, version, more string) string {
	return fmt.Sprintf(`name = %[1]q
node = %[2]q
path = "src"

[build.images]
%[1]s = "Containerfile"

[[components]]
name = "api"
image = %[3]q
env = { VERSION = %[4]q }
%[5]s

[[components.routes]]
name = "http"
port = 8080
container_port = 8080

[[components]]
name = "web"
image = %[3]q
depends_on = ["api"]
env = { MODE = "asks", ASK = "http://api:8080/" }

[[components.routes]]
name = "report"
port = 8081
`, name, w.node, w.image(name, "v1"), version, more)
}

// deployFails deploys a service whose deploy fails, and returns the result.
func (w *world) deployFails(service string) (result workflows.Result) {
	w.t.Helper()
	r := w.mcp("deploy", service, "--wait", "--json")
	require.Equal(w.t, 1, r.code, r)
	r.decode(w.t, &result)
	return result
}

// resolve returns where a name leads in a running component.
func (w *world) resolve(component, name string) string {
	w.t.Helper()
	answer := w.mcp("exec", component, "--", "/app", "resolve", name)
	require.Zero(w.t, answer.code, answer)
	return strings.TrimSpace(answer.stdout)
}

// addressOf returns the address that a container has on the network of its service.
func (w *world) addressOf(service, container string) string {
	w.t.Helper()
	return w.podman("inspect", container, "--format", fmt.Sprintf(`{{(index .NetworkSettings.Networks "mcp-%s").IPAddress}}`, service))
}

func TestAClientThatAsksByNameSeesNoUpdate(t *testing.T) {
	t.Parallel()
	const updates = 10
	w := newWorld(t)
	w.source("v0", "")
	w.define("named", w.named("named", "v1", ""))
	result := w.deploy("named")
	require.Equal(t, workflows.Succeeded, result.Outcome)
	var port int
	for _, c := range result.Components {
		port = max(port, c.Ports["report"])
	}
	asked := func(version string) {
		t.Helper()
		var report string
		require.Eventually(t, func() bool {
			report = w.fetch(port)
			return strings.Contains(report, version+":") || strings.Contains(report, "failure")
		}, time.Minute, 20*time.Millisecond, "the client reaches %s", version)
		require.NotContains(t, report, "failure")
	}
	asked("v1")
	for n := 2; n <= updates+1; n++ {
		version := fmt.Sprintf("v%d", n)
		w.define("named", w.named("named", version, ""))
		require.Equal(t, workflows.Succeeded, w.deploy("named").Outcome)
		address := w.addressOf("named", "named-api")
		t.Logf("%s: %s has %s", time.Now().Format(time.TimeOnly), version, address)
		require.Equal(t, address, w.resolve("named/web", "api"))
		asked(version)
	}
	w.define("named", w.named("named", "broken", `cmd = ["/app", "say", "no", "1"]`))
	require.Equal(t, workflows.Failed, w.deployFails("named").Outcome)
	require.Zero(t, w.mcp("rollback", "named", "--wait").code)
	require.Equal(t, w.addressOf("named", "named-api"), w.resolve("named/web", "named-api"))
	report := w.fetch(port)
	require.NotContains(t, report, "failure")
	t.Log(report)
	require.Zero(t, w.mcp("undeploy", "named", "-y").code)
}

func TestNamesOutliveRestartsAndGoWithTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v0", "")
	w.define("outlived", w.named("outlived", "v1", `order = "stop-first"`))
	require.Equal(t, workflows.Succeeded, w.deploy("outlived").Outcome)
	address := w.addressOf("outlived", "outlived-api")
	require.Equal(t, address, w.resolve("outlived/web", "api"))
	require.Equal(t, address, w.resolve("outlived/web", "outlived-api"))
	require.Equal(t, address, w.resolve("outlived/api", "api"))

	w.podman("restart", "--time", "0", "outlived-api", "outlived-web")
	require.Equal(t, address, w.addressOf("outlived", "outlived-api"))
	require.Equal(t, address, w.resolve("outlived/web", "api"))

	w.define("outlived", w.named("outlived", "v2", `order = "stop-first"`))
	require.Equal(t, workflows.Succeeded, w.deploy("outlived").Outcome)
	require.NotEqual(t, address, w.addressOf("outlived", "outlived-api"))
	require.Equal(t, w.addressOf("outlived", "outlived-api"), w.resolve("outlived/web", "api"))

	w.podman("network", "disconnect", "mcp-outlived", "outlived-api")
	planned := w.mcp("plan", "outlived")
	require.Contains(t, planned.stdout, "names", planned)
	require.Contains(t, w.status("outlived").Components[0].Drift, "unnamed")
	require.Equal(t, workflows.Succeeded, w.deploy("outlived").Outcome)
	require.Equal(t, w.addressOf("outlived", "outlived-api"), w.resolve("outlived/web", "api"))
	require.Empty(t, w.status("outlived").Components[0].Drift)

	require.Zero(t, w.mcp("undeploy", "outlived", "-y").code)
	require.Empty(t, w.podman("network", "ls", "--quiet", "--filter", "name=^mcp-outlived$"))
}

func TestANetworkThatIsNotMcpsIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v0", "")
	w.podman("network", "create", "mcp-foreign")
	t.Cleanup(func() { w.podman("network", "rm", "--force", "mcp-foreign") })
	w.define("foreign", w.named("foreign", "v1", ""))
	refused := w.deployFails("foreign")
	require.Equal(t, workflows.Failed, refused.Outcome)
	require.Contains(t, refused.Error.Message, "network mcp-foreign is to be that of service foreign")
	require.Contains(t, refused.Error.Hint, "podman network rm mcp-foreign")
	require.Contains(t, strings.Fields(w.podman("network", "ls", "--format", "{{.Name}}")), "mcp-foreign")
}
