package podman_test

import (
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// A start of podman that is killed leaves rules like these.
func TestAStartRemovesTheRulesThatAnInterruptedOneHasLeft(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	port := freePort(t)
	id, err := engine.Run(t.Context(), runtime.ContainerSpec{
		Name: "served", Image: "localhost/app:v1", Env: map[string]string{"PORT": "8080"},
		Ports: []servicedef.Port{{IP: "127.0.0.1", Host: port, Container: 8080, Protocol: "tcp"}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Remove(t.Context(), id)) }()
	answers := func() bool {
		client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get("http://127.0.0.1:" + strconv.Itoa(port))
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	}
	require.Eventually(t, answers, time.Minute, 100*time.Millisecond)

	rule := ruleOf(t, port)
	require.NoError(t, engine.Stop(t.Context(), id, time.Second))
	nat := func(args ...string) error {
		return exec.CommandContext(t.Context(), "iptables", append([]string{"-w", "2", "-t", "nat"}, args...)...).Run()
	}
	_ = nat("-N", rule[0]) // the last container of a network leaves none
	require.NoError(t, nat("-A", rule[0], "-d", "127.0.0.1/32", "-p", "tcp", "-m", "tcp", "--dport", strconv.Itoa(port),
		"-j", "DNAT", "--to-destination", "10.255.255.1:8080"))
	require.NoError(t, engine.Start(t.Context(), id))
	require.Eventually(t, answers, time.Minute, 100*time.Millisecond)
	require.NotContains(t, strings.Join(ruleOf(t, port), " "), "10.255.255.1")
}

// ruleOf returns the first rule that forwards a port, from its chain on.
func ruleOf(t *testing.T, port int) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "iptables", "-w", "2", "-t", "nat", "-S").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--dport "+strconv.Itoa(port)+" ") && strings.Contains(line, "DNAT") {
			return strings.Fields(line)[1:]
		}
	}
	t.Fatalf("no rule forwards port %d: %s", port, out)
	return nil
}
