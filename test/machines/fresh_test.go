package machines_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/link"
)

const (
	door = "10.0.0.2:7433"
	// shop is the definition of a service on the node.
	shop = `name = "shop"
node = "rift"

[[components]]
name = "app"
image = "registry.example:5000/shop:VERSION"

[components.health]
start_period = "10s"
interval = "500ms"
retries = 1

[[components.routes]]
name = "http"
port = 443
mode = "l7"
`
)

// TestAFreshMachine makes a control plane, an operator and a node as docs/operating.md says,
// each on a machine that has nothing but mcp's binary: what one of them can reach of the
// others is what its identity gets through the gateway.
func TestAFreshMachine(t *testing.T) {
	f := newFleet(t)
	f.install()
	f.isolation()
	f.joinNode()
	f.deploys()
	f.atADistance()
	f.revocation()
}

// install sets up the control plane and an operator.
func (f *fleet) install() {
	f.plane.install("## The control worker", "PASSWORD", f.password)
	f.plane.install("## A gateway in front of Temporal")
	f.plane.untilLogs("mcp-gateway", "gateway ready")
	f.plane.untilLogs("mcp-control", "worker ready")

	const rotation = "mcp identity rotate --status --direct" // which needs the key of the gateway
	require.Contains(f.plane.t, f.plane.refused(rotation), "runuser")
	f.plane.run("runuser -u mcp -- " + rotation)

	blocks := section(f.plane.t, "### Identities")
	require.Len(f.plane.t, blocks, 2)
	token := f.plane.run(blocks[0].Text)
	f.operator.run(strings.ReplaceAll(blocks[1].Text, "TOKEN", strings.TrimSpace(token)))
	f.operator.run("sed -i '1i services = \"/root/services\"' /root/.config/mcp/mcp.toml")
}

// joinNode makes the node one, by the two commands.
func (f *fleet) joinNode() {
	t := f.node.t
	blocks := section(t, "### A node, in two commands")
	require.Len(t, blocks, 2)
	token := strings.TrimSpace(f.operator.run(blocks[0].Text))
	f.node.run("apt-get install podman")
	said := f.node.run(strings.ReplaceAll(blocks[1].Text, "TOKEN", token))
	t.Log(said)
	require.Contains(t, said, "mcp-node@.service, started")
	require.Contains(t, f.node.refused("mcp join "+token), "used") // it counts once

	unit, err := os.ReadFile(f.node.file("/etc/systemd/system/mcp-node@.service"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^ExecStart=/usr/local/bin/mcp worker --node %i$`, string(unit))
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		require.Empty(t, f.node.run("systemd-analyze verify --man=no /etc/systemd/system/mcp-node@.service 2>&1"))
	}
	f.node.untilLogs("mcp-node@rift", "worker ready")
	f.operator.until("mcp node list", "rift")
	require.NotContains(t, f.plane.log("mcp-gateway"), "a call is refused", "a node asks for what it may")
}

// deploys deploys to the node, and checks what runs there.
func (f *fleet) deploys() {
	t := f.operator.t
	f.define("v1")
	f.operator.run("mcp deploy shop")
	require.Equal(t, "v1", f.fetch())
	require.Contains(t, f.operator.run("mcp status shop"), "shop")
	require.Contains(t, f.operator.run("mcp exec shop/app -- /app say through-the-gateway 0"), "through-the-gateway")
	require.Contains(t, f.node.refused("mcp status shop"), "node/rift")
}

// define writes the definition of the service, of a version.
func (f *fleet) define(version string) {
	f.operator.write("/root/services/shop.toml", strings.ReplaceAll(shop, "VERSION", version))
}

// fetch requests the service's route, from the operator's machine.
func (f *fleet) fetch() string {
	t := f.operator.t
	t.Helper()
	var list []struct {
		Components []struct {
			Routes []struct {
				HostPort int `json:"host_port"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(f.operator.run("mcp status shop --json")), &list))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return f.operator.dial(ctx, address)
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get(fmt.Sprintf("http://%s:%d", f.node.address, list[0].Components[0].Routes[0].HostPort))
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

// revocation revokes the node's identity, which cuts off its worker. A deploy to it waits
// until the machine has joined again.
func (f *fleet) revocation() {
	t := f.operator.t
	began := time.Now()
	f.operator.run("mcp identity revoke node rift -y")
	f.node.untilLogs("mcp-node@rift", "is revoked")
	t.Logf("the worker of a revoked node is cut off after %s", time.Since(began).Round(time.Millisecond))
	require.Equal(t, "v1", f.fetch(), "containers go on")

	f.define("v2")
	deploying := f.operator.begin("mcp deploy shop")
	deploying.untilSays("waiting for rift: waiting for a worker of node-rift")
	token := strings.TrimSpace(f.operator.run("mcp identity create node rift"))
	f.node.run("mcp node join " + token)
	require.NoError(t, deploying.wait(), deploying)
	require.Equal(t, "v2", f.fetch())
}

// trip is the round trip between the operator and the control plane where they are far
// from each other.
const trip = 50 * time.Millisecond

// atADistance shows how long commands take on a slow link to the gateway. How many round
// trips they wait for is another test's.
func (f *fleet) atADistance() {
	t := f.operator.t
	listener, err := f.operator.listen("127.0.0.1:7433")
	require.NoError(t, err)
	slow := link.New(listener, trip, func() (net.Conn, error) { return f.operator.dial(t.Context(), door) })
	took := func(where, command string) time.Duration {
		began := time.Now()
		f.operator.run(where + command)
		return time.Since(began).Round(time.Millisecond)
	}
	for i, where := range []string{"", "MCP_DOOR_ADDRESSES=127.0.0.1:7433 "} {
		f.define([]string{"v2", "v1"}[i])
		deploy := took(where, "mcp deploy shop")
		f.operator.run("mcp deploy shop --wait") // until what it has replaced is gone
		t.Logf("the gateway %s away: deploy %s, unchanged %s, status %s", time.Duration(i)*trip, deploy, took(where, "mcp deploy shop"), took(where, "mcp status shop"))
	}
	require.NoError(t, slow.Close())
}

// isolation shows that other machines reach the gateway, and nothing else of the control
// plane, and that the gateway answers no client without a certificate.
func (f *fleet) isolation() {
	t := f.plane.t
	documented := f.documented()
	var open []string
	for line := range strings.Lines(f.plane.run("ss --listening --numeric --no-header --tcp --udp")) {
		address := strings.Fields(line)[4]
		address = strings.ReplaceAll(strings.ReplaceAll(address, "*:", "0.0.0.0:"), "[::]:", "0.0.0.0:")
		host, _, err := net.SplitHostPort(address)
		require.NoError(t, err, line)
		if !net.ParseIP(host).IsLoopback() {
			open = append(open, address)
		}
		delete(documented, address)
	}
	require.Equal(t, []string{"0.0.0.0:7433"}, open, "what listens for other machines")
	require.Empty(t, documented, "docs/operating.md says that these listen")

	for _, from := range []on{f.operator, f.node} {
		for _, port := range []string{"7233", "8233", "5432", "9464", "9467"} {
			for _, host := range []string{f.plane.address, "127.0.0.1"} {
				_, err := from.dial(t.Context(), net.JoinHostPort(host, port))
				require.ErrorContains(t, err, "connection refused", "from %s", from.name)
			}
		}
		from.stranger()
	}
}

// documented are the addresses that docs/operating.md says that the control plane listens
// on.
func (f *fleet) documented() map[string]bool {
	text, err := os.ReadFile("../../docs/operating.md")
	require.NoError(f.plane.t, err)
	_, table, _ := strings.Cut(string(text), "| address | what listens |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	all := map[string]bool{}
	for _, address := range regexp.MustCompile("`([0-9.]+:[0-9]+)`").FindAllStringSubmatch(table, -1) {
		all[address[1]] = true
	}
	require.Len(f.plane.t, all, 6)
	return all
}

// stranger asks the gateway from a machine without a certificate, in every protocol.
func (m on) stranger() {
	const request = "GET / HTTP/1.1\r\nHost: door.example\r\n\r\n"
	for _, protocols := range [][]string{nil, {"h2"}, {"mcp-stream/1"}, {"http/1.1"}, {"h2", "mcp-join/1"}} {
		conn, err := m.dial(m.t.Context(), door)
		require.NoError(m.t, err)
		require.NoError(m.t, conn.SetDeadline(time.Now().Add(time.Minute)))
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		_, _ = io.WriteString(secure, request)
		answer, err := io.ReadAll(secure)
		require.Error(m.t, err, "%s %q", m.name, protocols)
		require.Empty(m.t, answer, "%s %q", m.name, protocols)
		_ = conn.Close()
	}
	conn, err := m.dial(m.t.Context(), door)
	require.NoError(m.t, err)
	require.NoError(m.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, _ = io.WriteString(conn, request)
	answer, _ := io.ReadAll(conn) // an alert of TLS, or nothing
	require.NotContains(m.t, string(answer), "HTTP")
	require.LessOrEqual(m.t, len(answer), 16)
	_ = conn.Close()
}
