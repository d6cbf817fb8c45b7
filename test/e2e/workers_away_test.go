package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every changing verb waits for a control worker that is away, also one that first
// reads.
func TestVerbsWaitForAControlWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone()
	w.source("v1", "")
	name := w.node + "-patient"
	control := w.worker("--control", "--listen", "off")
	w.worker("--node", w.node, "--listen", "off")
	w.worker("--builder", w.builder, "--workspace", w.workspace, "--listen", "off")
	w.define(name, w.service(name, "v1", ""))
	w.deploy(name)
	w.define(name, w.service(name, "v1", `env = { A = "b" }`))
	w.deploy(name)
	for _, verb := range [][]string{{"rollback", name, "--wait"}, {"rollback", name, "--to", "2", "--wait"}, {"stop", name}, {"undeploy", name, "-y"}, {"purge", name, "-y"}} {
		control.signal(syscall.SIGTERM)
		require.Zero(t, control.code(time.Minute))
		waiting := w.process(verb...)
		require.Eventually(t, func() bool {
			return strings.Contains(waiting.stderr.String(), "no control worker polls the queue control; waiting for one")
		}, time.Minute, 50*time.Millisecond)
		control = w.worker("--control", "--listen", "off")
		require.Zero(t, waiting.code(time.Minute), verb)
	}
}

// A node whose worker has just ended may be restarting: a deploy waits for it, and says
// so.
func TestADeployWaitsForANodeThatRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.alone()
	w.source("v1", "")
	name := w.node + "-restarts"
	w.worker("--control", "--listen", "off")
	served := w.worker("--node", w.node, "--listen", "off")
	w.worker("--builder", w.builder, "--workspace", w.workspace, "--listen", "off")
	w.define(name, w.service(name, "v1", ""))
	served.signal(syscall.SIGKILL)
	<-served.done
	waiting := w.process("deploy", name)
	require.Eventually(t, func() bool {
		return strings.Contains(waiting.stderr.String(), "waiting for "+w.node+": waiting for a worker of node-"+w.node)
	}, time.Minute, 50*time.Millisecond)
	w.worker("--node", w.node, "--listen", "off")
	require.Zero(t, waiting.code(2*time.Minute))
	require.Contains(t, waiting.stderr.String(), "✓ waiting for "+w.node)
}
