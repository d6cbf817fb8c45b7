package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

// doorWorld is a world whose command line and node reach Temporal through a gateway, each
// with an identity of its own, and without the encryption keys.
type doorWorld struct {
	*world
	// plane has the configuration of the control plane's host, and host that of the node.
	plane, host *world
	address     string
	gateway     *process
}

func newDoorWorld(t *testing.T) *doorWorld {
	t.Helper()
	plane := newWorld(t)
	d := &doorWorld{plane: plane, address: unusedAddress()}
	plane.alone("[gateway]", fmt.Sprintf("listen = %q", d.address), fmt.Sprintf("key_file = %q", filepath.Join(plane.dir, "gateway.key")),
		fmt.Sprintf("data = %q", filepath.Join(plane.dir, "gateway")), `metrics = "off"`)
	d.serve() // first: a control worker that is there before it needs some seconds to know its key
	plane.worker("--control", "--listen", "off")

	info := shared.platform.Info()
	namespace := fmt.Sprintf("namespace = %q", plane.namespace)
	registries := fmt.Sprintf("insecure = [%q]", info.ImageRegistry)
	d.world = d.machine("operator", fmt.Sprintf("services = %q", plane.services), "[temporal]", namespace, "[image_registry]", registries,
		"[build]", fmt.Sprintf("workspace = %q", plane.workspace), fmt.Sprintf("builder = %q", plane.builder),
		fmt.Sprintf("socket = %q", info.Podman), fmt.Sprintf("logs = %q", filepath.Join(plane.dir, "logs")))
	d.join(d.world, d.token(plane, "operator", "anna", "--direct"))

	d.host = d.machine("node", "[temporal]", namespace, "[image_registry]", registries, "[node]", fmt.Sprintf("socket = %q", info.Podman),
		fmt.Sprintf("data = %q", filepath.Join(plane.dir, "data")), fmt.Sprintf("policy = %q", filepath.Join(info.Dir, "node-policy.toml")))
	d.join(d.host, d.token(d.world, "node", plane.node), "--no-unit", "--dir", filepath.Join(d.host.dir, "identity"))
	return d
}

// TestAFleetBehindAGateway deploys through a gateway, kills that in the middle of a deploy,
// and revokes the node.
func TestAFleetBehindAGateway(t *testing.T) {
	t.Parallel()
	d := newDoorWorld(t)
	worker := d.host.worker("--node", d.plane.node, "--listen", "off")
	d.source("v1", "")
	d.define("gated", d.service("gated", "v1", ""))
	d.deploy("gated")
	require.Contains(t, d.fetch(d.routePort("gated")), "v1")

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

	d.source("v2", "")
	d.define("gated", d.service("gated", "v2", ""))
	deploying := d.process("deploy", "gated", "--wait")
	d.plane.untilRunning(workflows.DeployID("gated"))
	d.gateway.signal(syscall.SIGKILL)
	<-d.gateway.done
	d.serve()
	require.Zero(t, deploying.code(3*time.Minute), deploying.stderr.String())
	require.Contains(t, d.fetch(d.routePort("gated")), "v2")

	r = d.mcp("identity", "list", "--json")
	require.Zero(t, r.code, r)
	require.Contains(t, r.stdout, `"joined_from"`)
	require.Contains(t, d.mcp("__complete", "identity", "revoke", "node", "").stdout, d.plane.node)
	d.rotates()
	r = d.mcp("identity", "revoke", "node", d.plane.node, "-y", "--json")
	require.Zero(t, r.code, r)
	require.Eventually(t, func() bool { return strings.Contains(worker.stderr.String(), "is revoked") }, time.Minute, 50*time.Millisecond)
	require.Contains(t, d.fetch(d.routePort("gated")), "v2", "containers go on")
}

// rotates begins to replace the authority. It cannot end that before the identities have
// renewed their certificates.
func (d *doorWorld) rotates() {
	t := d.plane.t
	t.Helper()
	var stands struct {
		Authority, Next string
		Finished        bool
		Waiting         []struct{ Identity string }
	}
	r := d.mcp("identity", "rotate", "--json")
	require.Zero(t, r.code, r)
	r.decode(t, &stands)
	require.NotEmpty(t, stands.Next)
	require.Len(t, stands.Waiting, 2)
	former := stands.Authority
	r = d.mcp("identity", "rotate", "--finish", "-y")
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, "2 identities still need the present authority: node/"+d.plane.node+", operator/anna")
	r = d.plane.mcp("identity", "rotate", "--status", "--direct", "--json")
	require.Zero(t, r.code, r)
	r.decode(t, &stands)
	require.Equal(t, former, stands.Authority)
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
func (d *doorWorld) serve() {
	d.plane.t.Helper()
	p := d.plane.process("gateway")
	require.Eventually(d.plane.t, func() bool { return strings.Contains(p.stderr.String(), "gateway ready") }, time.Minute, 50*time.Millisecond)
	d.gateway = p
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
