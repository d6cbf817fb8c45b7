package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/telemetry"
)

// portsGiven counts what unusedPort has returned.
var portsGiven atomic.Int32

// unusedPort is a port of 127.0.0.1 that no process listens on. It is below both
// the range of routes and that of the kernel's ephemeral ports, so that nothing
// takes it before the test uses it.
func unusedPort() int {
	for {
		port := 15000 + int(portsGiven.Add(1))
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
}

// unusedAddress is 127.0.0.1 with an unused port.
func unusedAddress() string { return fmt.Sprintf("127.0.0.1:%d", unusedPort()) }

// readiness reads the readiness of a worker; false if it does not answer.
func readiness(address string) (said telemetry.Readiness, answered bool) {
	response, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		return said, false
	}
	defer response.Body.Close()
	return said, json.NewDecoder(response.Body).Decode(&said) == nil
}

// TestTwoWorkersWithOneAddress starts two workers with the same address: both work, and
// the second listens once the first has ended.
func TestTwoWorkersWithOneAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone()
	address := unusedAddress()
	first := w.worker("--builder", w.builder, "--workspace", w.workspace, "--listen", address)
	require.Eventually(t, func() bool { said, _ := readiness(address); return said.Ready }, time.Minute, 50*time.Millisecond)
	second := w.worker("--control", "--listen", address)
	require.Contains(t, second.stderr.String(), "metrics and health are off until this address is free")
	require.Contains(t, second.stderr.String(), "address already in use")

	first.signal(syscall.SIGTERM)
	require.Zero(t, first.code(time.Minute))
	require.Eventually(t, func() bool {
		said, _ := readiness(address)
		return said.Ready && strings.Contains(fmt.Sprint(said.Checks), "postgres")
	}, time.Minute, 50*time.Millisecond)
	second.signal(syscall.SIGTERM)
	require.Zero(t, second.code(time.Minute))
	_, answered := readiness(address)
	require.False(t, answered)
}

// TestAWorkerReportsWhatItWaitsFor starts one without a Temporal.
func TestAWorkerReportsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure("[temporal]", fmt.Sprintf("address = %q", unusedAddress()))
	address := unusedAddress()
	waiting := w.process("worker", "--node", "rift", "--listen", address)
	var said telemetry.Readiness
	require.Eventually(t, func() (answered bool) { said, answered = readiness(address); return answered }, time.Minute, 50*time.Millisecond)
	require.False(t, said.Ready)
	require.Equal(t, "it has not started yet", said.Reason)
	require.Len(t, said.Checks, 1)
	require.Equal(t, "temporal", said.Checks[0].Name)
	require.NotEmpty(t, said.Checks[0].Reason)
	waiting.signal(syscall.SIGTERM)
	require.Zero(t, waiting.code(time.Minute))
}

// TestAWorkerThatDoesNotListen starts one without metrics and health.
func TestAWorkerThatDoesNotListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone()
	worker := w.worker("--builder", w.builder, "--workspace", w.workspace, "--listen", "")
	require.Contains(t, worker.stderr.String(), "metrics and health are off")
	wrong := w.mcp("worker", "--control", "--listen", "9464")
	require.Equal(t, 2, wrong.code, wrong)
	require.Contains(t, wrong.stderr, `worker.listen: must be host:port, such as "127.0.0.1:9464", or "off", not "9464"`)
}
