package apps_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/dev/parts"
)

// mcpVariable makes this test binary mcp itself.
const mcpVariable = "APPS_IS_MCP"

// nodeName is the node on which the applications run.
const nodeName = "rift"

// node is a node of the fleet: a host with a podman and a worker of its own.
type node struct {
	*host
	podman *parts.Podman
	worker *worker
	boots  int
}

func newNode(ctx context.Context) (*node, error) {
	h, err := newHost()
	if err != nil {
		return &node{host: h}, err
	}
	n := &node{host: h}
	info := shared.platform.Info()
	for _, address := range []string{info.Temporal(), info.ImageRegistry} {
		if err := h.relay(address); err != nil {
			return n, err
		}
	}
	return n, n.start(ctx)
}

// start boots the node.
func (n *node) start(ctx context.Context) (err error) {
	n.podman, err = parts.StartPodman(ctx, parts.PodmanOptions{Dir: n.dir("podman"), Private: true, Namespace: n.netns()})
	if err != nil {
		return err
	}
	info := shared.platform.Info()
	config := fmt.Sprintf(`[temporal]
address = %q
encryption_key_file = %q
[node]
name = %q
socket = %q
publish = %q
machine = %q
data = %q
logs = %q
policy = %q
[image_registry]
insecure = [%q]
[worker]
listen = "off"
`, info.Temporal(), info.EncryptionKeyFile, nodeName, n.podman.Socket(), n.address, n.dir("machine"), n.dir("data"), n.dir("logs"), n.dir("node-policy.toml"), info.ImageRegistry)
	rules, err := os.ReadFile("../../examples/apps/monitoring/node-policy.toml")
	if err == nil {
		err = os.WriteFile(n.dir("node-policy.toml"), rules, 0o600)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.dir("mcp.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	n.boots++
	boot := n.dir(fmt.Sprintf("boot-%d", n.boots))
	if err := os.WriteFile(boot, []byte(rand.Text()), 0o600); err != nil {
		return err
	}
	n.worker, err = startWorker(ctx, n.netns(), boot, n.dir("mcp.toml"))
	return err
}

// reboot ends all processes of the node as a loss of power does, and boots it.
func (n *node) reboot(ctx context.Context) error {
	n.worker.kill()
	if err := errors.Join(n.podman.PowerOff(), n.boot()); err != nil {
		return err
	}
	return n.start(ctx)
}

// secret makes a secret of the node's podman, or replaces it.
func (n *node) secret(name, value string) error {
	_ = exec.Command("podman", "--url", n.podman.Socket(), "secret", "rm", name).Run()
	create := exec.Command("podman", "--url", n.podman.Socket(), "secret", "create", name, "-")
	create.Stdin = strings.NewReader(value)
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("create the secret %s: %w: %s", name, err, out)
	}
	return nil
}

func (n *node) dir(name string) string {
	dir := filepath.Join(shared.dir, "node")
	_ = os.MkdirAll(dir, 0o755)
	return filepath.Join(dir, name)
}

// remove ends the node with all that runs on it.
func (n *node) remove() error {
	var problems []error
	if n.worker != nil {
		n.worker.kill()
	}
	if n.podman != nil {
		problems = append(problems, n.podman.Destroy())
	}
	if n.host != nil {
		problems = append(problems, n.host.remove())
	}
	return errors.Join(problems...)
}

// worker is a node's worker, a process.
type worker struct {
	cmd  *exec.Cmd
	log  *log
	done chan struct{}
}

// startWorker starts a worker on a host with the boot id of a file, and waits until it is
// ready.
func startWorker(ctx context.Context, netns, boot, config string) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	script := `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
	w := &worker{log: &log{ready: make(chan struct{})}, done: make(chan struct{})}
	// "ip netns exec" would hide the cgroups.
	w.cmd = exec.Command("nsenter", "--net="+netns, "unshare", "--mount", "sh", "-c", script, boot, self, "--config", config, "worker", "--node", nodeName)
	w.cmd.Env = append(os.Environ(), mcpVariable+"=1")
	w.cmd.Stdout, w.cmd.Stderr = w.log, w.log
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the node's worker: %w", err)
	}
	go func() {
		_ = w.cmd.Wait()
		close(w.done)
	}()
	select {
	case <-w.log.ready:
		return w, nil
	case <-w.done:
		return nil, fmt.Errorf("the node's worker has ended:\n%s", w.log)
	case <-time.After(2 * time.Minute):
	case <-ctx.Done():
	}
	w.kill()
	return nil, fmt.Errorf("the node's worker is not ready:\n%s", w.log)
}

func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	<-w.done
}

// log is what a process has printed; ready closes when that says so.
type log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
}

func (l *log) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := strings.Contains(l.text.String(), "worker ready")
	l.text.Write(text)
	if !was && strings.Contains(l.text.String(), "worker ready") {
		close(l.ready)
	}
	return len(text), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
