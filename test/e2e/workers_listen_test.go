package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/telemetry"
)

// freeAddress is one of this host that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := parts.FreePort()
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// readiness asks a worker whether it is ready; false if it does not answer.
func readiness(address string) (said telemetry.Readiness, answered bool) {
	response, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		return said, false
	}
	defer response.Body.Close()
	return said, json.NewDecoder(response.Body).Decode(&said) == nil
}

// TestTwoWorkersWithOneAddress starts two workers that are told the same
// address: both work, and the second is asked once the first has ended.
func TestTwoWorkersWithOneAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone()
	address := freeAddress(t)
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

// TestAWorkerTellsWhatItWaitsFor starts one where no Temporal is.
func TestAWorkerTellsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure("[temporal]", fmt.Sprintf("address = %q", freeAddress(t)))
	address := freeAddress(t)
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

// TestAWorkerThatDoesNotListen turns metrics and health off.
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
