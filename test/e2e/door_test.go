package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/workflows"
)

// doorWorld is a world whose command line and node reach Temporal through a gateway, each
// with an identity of its own, and without the encryption keys.
type doorWorld struct {
	*world
	// plane has the configuration of the control plane's host, and host that of the node.
	plane, host *world
	// addresses are those of the gateways, which run while they have a process.
	addresses []string
	gateways  []*process
	control   *process
}

// newDoorWorld starts so many gateways.
func newDoorWorld(t *testing.T, gateways int) *doorWorld {
	t.Helper()
	plane := newWorld(t)
	d := &doorWorld{plane: plane, gateways: make([]*process, gateways)}
	for range gateways {
		d.addresses = append(d.addresses, unusedAddress())
	}
	plane.alone("[gateway]", fmt.Sprintf("addresses = [%s]", quoted(d.addresses)), fmt.Sprintf("key_file = %q", filepath.Join(plane.dir, "gateway.key")),
		fmt.Sprintf("data = %q", filepath.Join(plane.dir, "gateway")), `metrics = "off"`)
	for i := range gateways {
		d.serve(i) // first: a control worker that is there before it needs some seconds to know its key
	}
	d.control = plane.worker("--control", "--listen", "off")

	info := shared.platform.Info()
	namespace := fmt.Sprintf("namespace = %q", plane.namespace)
	registries := fmt.Sprintf("insecure = [%q]", info.ImageRegistry)
	d.world = d.machine("operator", fmt.Sprintf("services = %q", plane.services), "[temporal]", namespace, "[image_registry]", registries,
		"[build]", fmt.Sprintf("workspace = %q", plane.workspace), fmt.Sprintf("builder = %q", plane.builder),
		fmt.Sprintf("socket = %q", info.Podman), fmt.Sprintf("logs = %q", filepath.Join(plane.dir, "logs")),
		"[secrets]", fmt.Sprintf("signing_key = %q", filepath.Join(plane.dir, "signing.key")))
	d.join(d.world, d.token(plane, "operator", "anna", "--direct"))

	d.host = d.node(plane.node, info.Podman)
	return d
}

// node is the world of a node, which has joined.
func (d *doorWorld) node(name, socket string) *world {
	d.plane.t.Helper()
	info := shared.platform.Info()
	host := d.machine(name, "[temporal]", fmt.Sprintf("namespace = %q", d.plane.namespace),
		"[image_registry]", fmt.Sprintf("insecure = [%q]", info.ImageRegistry), "[node]", fmt.Sprintf("socket = %q", socket))
	host.configure(append(host.lines(), fmt.Sprintf("data = %q", filepath.Join(host.dir, "data")), fmt.Sprintf("logs = %q", filepath.Join(host.dir, "logs")),
		fmt.Sprintf("machine = %q", filepath.Join(host.dir, "machine-id")), fmt.Sprintf("policy = %q", filepath.Join(info.Dir, "node-policy.toml")))...)
	d.join(host, d.token(d.world, "node", name), "--no-unit", "--dir", filepath.Join(host.dir, "identity"))
	return host
}

// lines are those of w's configuration.
func (w *world) lines() []string {
	w.t.Helper()
	text, err := os.ReadFile(w.config())
	require.NoError(w.t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// quoted are texts as TOML has them, with commas.
func quoted(texts []string) string {
	var list []string
	for _, text := range texts {
		list = append(list, fmt.Sprintf("%q", text))
	}
	return strings.Join(list, ", ")
}

// TestAFleetBehindAGateway deploys through gateways, runs every verb through them, kills
// them in the middle of a deploy, replaces their authority, loses their encryption keys, and
// revokes the node.
func TestAFleetBehindAGateway(t *testing.T) {
	t.Parallel()
	d := newDoorWorld(t, 2)
	worker := d.host.worker("--node", d.plane.node, "--listen", "off")
	absent := d.node(d.plane.node+"-absent", shared.platform.Info().Podman)
	rotation := d.rotates()
	d.source("v1", "")
	d.define("gated", d.service("gated", "v1", `env = { TOKEN = "canary-of-the-gateway" }`)+ending(d.image("gated", "v1")))
	d.deploy("gated")
	rests := d.plane.rests(workflows.DeployID("gated"), "")
	require.NotContains(t, rests, "canary-of-the-gateway", "the gateway encrypts for machines that have no keys")
	require.Contains(t, rests, codec.Encoding)
	d.decodes(workflows.DeployID("gated"), "canary-of-the-gateway")
	require.Contains(t, d.mcp("doctor").stdout, "the gateways have the keys; this host needs none")
	require.Contains(t, d.fetch(d.routePort("gated")), "v1")
	require.NotContains(t, d.gateways[0].stderr.String(), "a call is refused", "no part asks for what is not its own")

	r := d.mcp("audit", "--service", "gated", "--json")
	require.Zero(t, r.code, r)
	var audit []struct {
		Who     string
		Claimed bool
		Verb    string
	}
	r.decode(t, &audit)
	require.NotEmpty(t, audit)
	require.Equal(t, "operator/anna", audit[0].Who, r)
	require.False(t, audit[0].Claimed, r)

	d.streams("gated")
	d.outputsOfRuns("gated")
	d.verbs("gated")
	for _, gateway := range d.gateways {
		require.NotContains(t, gateway.stderr.String(), `"a call is refused" caller=node/`, "a worker asks for nothing that is not its own")
	}

	d.source("v2", "")
	d.define("gated", d.service("gated", "v2", ""))
	deploying := d.process("deploy", "gated", "--wait")
	d.plane.untilRunning(workflows.DeployID("gated"))
	for i, gateway := range d.gateways {
		gateway.signal(syscall.SIGKILL)
		<-gateway.done
		d.serve(i)
	}
	require.Zero(t, deploying.code(3*time.Minute), deploying.stderr.String())
	require.Contains(t, d.fetch(d.routePort("gated")), "v2")

	r = d.mcp("identity", "list", "--json")
	require.Zero(t, r.code, r)
	require.Contains(t, r.stdout, `"joined_from"`)
	d.completes("(?m)^"+d.plane.node+`\t`, "identity", "revoke", "node", "")
	worker = rotation.ends(worker, absent)
	d.losesKeys("gated")
	r = d.mcp("identity", "revoke", "node", d.plane.node, "-y", "--json")
	require.Zero(t, r.code, r)
	require.Eventually(t, func() bool { return strings.Contains(worker.stderr.String(), "is revoked") }, time.Minute, 50*time.Millisecond)
	require.Contains(t, d.fetch(d.routePort("gated")), "v2", "containers go on")
}

// machine is the world of another machine.
func (d *doorWorld) machine(name string, lines ...string) *world {
	d.plane.t.Helper()
	other := *d.plane
	other.dir = filepath.Join(d.plane.t.TempDir(), name)
	require.NoError(d.plane.t, os.MkdirAll(other.dir, 0o755))
	other.configure(lines...)
	return &other
}

// serve starts a gateway, and waits until it serves.
func (d *doorWorld) serve(i int) {
	d.plane.t.Helper()
	p := d.plane.process("gateway", "--listen", d.addresses[i])
	require.Eventually(d.plane.t, func() bool { return strings.Contains(p.stderr.String(), "gateway ready") }, time.Minute, 50*time.Millisecond)
	d.gateways[i] = p
}

// decodes shows that a gateway decrypts the input of a workflow for Temporal's UI, and for
// no other page.
func (d *doorWorld) decodes(workflow, content string) {
	t := d.plane.t
	t.Helper()
	const ui = "http://127.0.0.1:8233"
	address := unusedAddress()
	gateway := d.plane.processIn([]string{"MCP_TEMPORAL_CODEC_LISTEN=" + address, "MCP_TEMPORAL_UI=" + ui}, "gateway", "--listen", unusedAddress())
	first, err := d.plane.plainly().GetWorkflowHistory(t.Context(), workflow, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	require.NoError(t, err)
	input, err := protojson.Marshal(first.GetWorkflowExecutionStartedEventAttributes().GetInput())
	require.NoError(t, err)
	ask := func(origin string) (status int, text string) {
		request, err := http.NewRequest(http.MethodPost, "http://"+address+"/decode", bytes.NewReader(input))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Origin", origin)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(body)
	}
	require.Eventually(t, func() bool { status, _ := ask(ui); return status == http.StatusOK }, time.Minute, 50*time.Millisecond)
	_, text := ask(ui)
	var decoded common.Payloads
	require.NoError(t, protojson.Unmarshal([]byte(text), &decoded))
	require.Contains(t, string(decoded.GetPayloads()[0].GetData()), content)
	status, _ := ask("http://evil.example")
	require.NotEqual(t, http.StatusOK, status)
	gateway.signal(syscall.SIGTERM)
	require.Zero(t, gateway.code(time.Minute))
}

func (d *doorWorld) token(by *world, args ...string) string {
	d.plane.t.Helper()
	r := by.mcp(append([]string{"identity", "create"}, args...)...)
	require.Zero(d.plane.t, r.code, r)
	return strings.TrimSpace(r.stdout)
}

func (d *doorWorld) join(w *world, token string, args ...string) {
	d.plane.t.Helper()
	r := w.mcp(append([]string{"join", token}, args...)...)
	require.Zero(d.plane.t, r.code, r)
}
